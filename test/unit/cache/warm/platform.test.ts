import test from 'ava';
import { isWanted, ownPlatform, parsePlatform, platformName } from '../../../../src/cache/warm/platform.ts';

function named(text: string) {
  const platform = parsePlatform(text);
  return platform && platformName(platform);
}

test('a platform is os, architecture and perhaps a variant', (t) => {
  t.is(named('linux/amd64'), 'linux/amd64');
  t.is(named('linux/arm/v6'), 'linux/arm/v6');
  for (const wrong of ['linux', 'linux/', '/amd64', 'linux/arm/v7/x', 'Linux/amd64', 'linux amd64', '']) {
    t.is(parsePlatform(wrong), undefined, wrong);
  }
});

test('what an architecture implies is left out, so that an index that says it and one that does not are the same', (t) => {
  t.is(named('linux/arm64/v8'), 'linux/arm64');
  t.is(named('linux/amd64/v1'), 'linux/amd64');
  t.is(named('linux/arm'), 'linux/arm/v7');
  t.is(named('linux/x86_64'), 'linux/amd64');
  t.is(named('linux/aarch64'), 'linux/arm64');
});

test('the own platform is linux and what Go calls the architecture', (t) => {
  t.is(platformName(ownPlatform('x64')), 'linux/amd64');
  t.is(platformName(ownPlatform('arm64')), 'linux/arm64');
});

test('an entry is wanted when it is for one of the platforms, whether or not it tells the implied variant', (t) => {
  const choice = [parsePlatform('linux/arm64')!, parsePlatform('linux/arm/v7')!];
  t.true(isWanted(choice, { os: 'linux', architecture: 'arm64' }));
  t.true(isWanted(choice, { os: 'linux', architecture: 'arm64', variant: 'v8' }));
  t.true(isWanted(choice, { os: 'linux', architecture: 'arm' }));
  t.false(isWanted(choice, { os: 'linux', architecture: 'arm', variant: 'v6' }));
  t.false(isWanted(choice, { os: 'linux', architecture: 'amd64' }));
  t.false(isWanted(choice, { os: 'windows', architecture: 'arm64' }));
});

test('attestations are for an unknown platform: only all of them includes these; what names none is for everybody', (t) => {
  const unknown = { os: 'unknown', architecture: 'unknown' };
  t.false(isWanted([ownPlatform('x64')], unknown));
  t.true(isWanted('all', unknown));
  t.true(isWanted([ownPlatform('x64')], undefined));
});
