import test from 'ava';
import { explainRewrite } from '../../../../src/image/rules/explain.ts';
import { compileRules, rewriteImage } from '../../../../src/image/rules/table.ts';
import { ruleName } from '../../../../src/image/settle.ts';

const table = compileRules({
  imageMaps: [{ namespace: 'ns', name: 'boot', creationTimestamp: '', map: [{ from: 'x', to: 'a.io/x' }] }],
  imageswap: {
    map: 'default::\na.io::b.io\nb.io::c.io/p\nquay.io::\nm.io::1.2.3.4/m.io:5000\n[REPLACE]pat*::p.io\np.io::q.io\nr.io::s.io\ns.io::r.io',
  },
  mirrors: [{ name: 'hub', masquerade: 'ghcr.io', address: '10.0.0.1', available: true }],
});

const rows: readonly [string, readonly string[]][] = [
  ['x', ['x: ImageMap/boot x makes it a.io/x']],
  ['a.io/y', ['a.io/y: imageswap:2 a.io makes it b.io/y', 'a.io/y: imageswap:3 b.io makes it c.io/p/y']],
  ['pat', ['pat: imageswap:6 [REPLACE]pat* makes it p.io/pat']],
  ['quay.io/x', ['quay.io/x: imageswap:4 quay.io: stays, as the rule wants it']],
  ['c.io/p/x', ['c.io/p/x: imageswap:3 b.io: stays: it is what the rule makes']],
  ['nginx', ['nginx: stays: no rule is for it']],
  ['NO', ['NO: stays: it is no image reference, and no rule is for this text']],
  [
    'ghcr.io/a',
    [
      'ghcr.io/a: mirror/hub ghcr.io does not apply: the pod has imagePullSecrets, which are not for the mirror’s name',
      'ghcr.io/a: stays: no rule is for it',
    ],
  ],
  [
    'm.io/x',
    [
      'm.io/x: imageswap:5 m.io: stays: the rule makes no image reference of it',
      'm.io/x stays: imageswap:5 m.io would make it "1.2.3.4/m.io:5000/x", which is no image reference',
    ],
  ],
  [
    'r.io/x',
    [
      'r.io/x: imageswap:8 r.io: stays: rules lead in a circle, or have no end',
      'r.io/x stays: the rules for it lead in a circle or have no end (s.io/x)',
    ],
  ],
];

for (const [image, expected] of rows) {
  test(`${image} is explained`, (t) => {
    const request = { namespace: 'ns', bypass: 'pullSecrets' } as const;
    t.deepEqual(explainRewrite(rewriteImage(table, image, request), request), expected);
  });
}

test('an opt-out is explained by whoever gave it', (t) => {
  const request = { optedOut: 'label k8s.twr.io/imageswap: disabled' };
  t.deepEqual(explainRewrite(rewriteImage(table, 'x', request), request), [
    'x: stays: its pod is left alone',
    'x: label k8s.twr.io/imageswap: disabled',
  ]);
});

test('names of rules are one line without tabs', (t) => {
  t.is(ruleName({ source: 'imageswap [EXACT]', key: 'a\tb\n', line: 2 }), 'imageswap:2 [EXACT]"a\\tb\\n"');
  t.is(ruleName({ source: 'imageswap LEGACY', key: 'p' }), 'imageswap LEGACY p');
  t.is(ruleName({ source: 'gilly', key: 'r.io' }), 'gilly r.io');
});
