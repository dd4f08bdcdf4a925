import test from 'ava';
import fc from 'fast-check';
import { parseUpstream } from '../../../src/api/upstream.ts';
import { type MirrorNames, parseMirrorImage } from '../../../src/cli/mirror-image.ts';
import { ConfigError } from '../../../src/config/problems.ts';

const digest = `sha256:${'a'.repeat(64)}`;

function names(upstreamUrl: string, masquerade: string): MirrorNames {
  return { name: 'm', masquerade, upstream: parseUpstream(upstreamUrl) };
}

const hub = names('https://registry-1.docker.io', 'mirror-docker.io');
const harbor = names('harbor.example:8443', 'hub:5000');

function read(text: string, mirror = hub): string {
  const { repository, tag, digest: named } = parseMirrorImage(text, mirror);
  return [repository, tag ?? '-', named ?? '-'].join(' ');
}

test('repository, tag and digest are told apart', (t) => {
  t.is(read('team/app'), 'team/app - -');
  t.is(read('team/app:v1.2_3-X'), 'team/app v1.2_3-X -');
  t.is(read(`team/app@${digest}`), `team/app - ${digest}`);
  t.is(read(`team/app:v1@${digest}`), `team/app v1 ${digest}`);
});

test('on Docker Hub’s mirror short names are what clients make of them: library/ for docker.io, as written for another host', (t) => {
  t.is(read('nginx'), 'library/nginx - -');
  t.is(read('nginx:1.25'), 'library/nginx 1.25 -');
  for (const host of ['docker.io', 'index.docker.io', 'registry-1.docker.io', 'DOCKER.io']) {
    t.is(read(`${host}/nginx`), 'library/nginx - -');
    t.is(read(`${host}/library/nginx`), 'library/nginx - -');
  }
  t.is(read('mirror-docker.io/nginx:1'), 'nginx 1 -');
  t.is(read('mirror-docker.io/library/nginx'), 'library/nginx - -');
});

test('where the mirror masquerades as Docker Hub its name is no alias: clients make library/ of short names', (t) => {
  const mirrors = [
    names('docker.io', 'docker.io'),
    // Behind a path, or a registry that stands for Docker Hub: clients know nothing of it.
    names('harbor.example/hub', 'docker.io'),
    names('mirror.gcr.io', 'docker.io'),
  ];
  for (const mirror of mirrors) {
    for (const text of ['nginx:1', 'docker.io/nginx:1', 'docker.io/library/nginx:1'])
      t.is(read(text, mirror), 'library/nginx 1 -', `${mirror.upstream.host} ${text}`);
    t.is(read('docker.io/team/app', mirror), 'team/app - -');
  }
  t.is(read('index.docker.io/nginx:1', names('docker.io', 'docker.io')), 'library/nginx 1 -');
});

test('other registries’ names are taken as they are', (t) => {
  t.is(read('app', harbor), 'app - -');
  t.is(read('harbor.example:8443/team/app:v1', harbor), 'team/app v1 -');
  t.is(read('hub:5000/app', harbor), 'app - -');
});

test('an image of another registry is refused with the names that this mirror has', (t) => {
  for (const text of [
    'ghcr.io/team/app',
    'localhost/app',
    'harbor.example/app',
    'mirror-docker.io:5000/app',
  ]) {
    t.throws(() => read(text), {
      instanceOf: ConfigError,
      message: /expected an image of docker.io or mirror-docker.io/,
    });
  }
});

test('what is no reference is refused', (t) => {
  const wrong = [
    '',
    'App',
    'a//b',
    '/a',
    'a/',
    'a:',
    'a@',
    'a:b:c',
    'a@sha256:abc',
    'a:.b',
    '../a',
    'a b',
    `a@${digest}@${digest}`,
    '-x',
  ];
  for (const text of wrong) t.throws(() => read(text), { instanceOf: ConfigError }, text);
});

test('whatever comes in, what comes out is a repository and a reference, or a ConfigError', (t) => {
  const alphabet = fc.constantFrom(...'aB0./:@-_ sha256');
  fc.assert(
    fc.property(fc.string({ unit: alphabet, maxLength: 40 }), (text) => {
      try {
        const { repository, tag = 'x' } = parseMirrorImage(text, hub);
        return /^[a-z0-9][a-z0-9._/-]*$/.test(repository) && /^[A-Za-z0-9_][A-Za-z0-9._-]*$/.test(tag);
      } catch (error) {
        return error instanceof ConfigError;
      }
    }),
  );
  t.pass();
});
