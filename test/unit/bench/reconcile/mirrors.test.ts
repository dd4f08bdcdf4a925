import test from 'ava';
import { expectedObjects, mirror, mirrorIn, mirrorNames } from '../../../../bench/reconcile/mirrors.ts';
import { validateRegistryMirror } from '../../../../src/api/validate.ts';

test('every mirror is valid and no two have one upstream', (t) => {
  const mirrors = mirrorNames(200).map(mirror);
  for (const made of mirrors) t.true('mirror' in validateRegistryMirror(made));
  t.is(new Set(mirrors.map(({ spec }) => spec.upstreamUrl)).size, 200);
});

test('the mirror is found in the name of every object made for it', (t) => {
  const names = mirrorNames(12);
  const [, second = ''] = names;
  for (const object of expectedObjects([second])) t.is(mirrorIn(object), second);
  t.is(expectedObjects(names).length, new Set(expectedObjects(names)).size);
  t.is(mirrorIn('registry-mirror-ca'), undefined);
});
