import test from 'ava';
import fc from 'fast-check';
import { type Challenge, parseChallenges } from '../../../src/registry/challenge.ts';
import { processorTime } from '../../support/processor-time.ts';

function plain(challenges: readonly Challenge[]): unknown {
  return challenges.map(({ scheme, params, token68 }) => [scheme, token68 ?? Object.fromEntries(params)]);
}

for (const [header, expected] of [
  [
    'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/alpine:pull"',
    [
      [
        'bearer',
        {
          realm: 'https://auth.docker.io/token',
          service: 'registry.docker.io',
          scope: 'repository:library/alpine:pull',
        },
      ],
    ],
  ],
  [
    'Basic realm="a, b", Bearer realm="x" , service = y',
    [
      ['basic', { realm: 'a, b' }],
      ['bearer', { realm: 'x', service: 'y' }],
    ],
  ],
  [
    'Negotiate, Basic realm=x',
    [
      ['negotiate', {}],
      ['basic', { realm: 'x' }],
    ],
  ],
  [
    'Negotiate YII=, NTLM',
    [
      ['negotiate', 'YII='],
      ['ntlm', {}],
    ],
  ],
  [', ,Basic realm="say \\"hi\\" \\\\"', [['basic', { realm: 'say "hi" \\' }]]],
  ['Bearer realm=https://a.example/token', [['bearer', { realm: 'https://a.example/token' }]]],
  ['Bearer REALM="a",realm="b"', [['bearer', { realm: 'a' }]]],
  ['Bearer scope="repository:a:pull,push"', [['bearer', { scope: 'repository:a:pull,push' }]]],
  ['Basic realm="x", Bearer realm="never closed', [['basic', { realm: 'x' }]]],
  ['realm="no scheme"', []],
  ['Bearer __proto__="x"', [['bearer', Object.fromEntries([['__proto__', 'x']])]]],
  ['', []],
] as const) {
  test(`WWW-Authenticate ${JSON.stringify(header)} is read`, (t) => {
    t.deepEqual(plain(parseChallenges(header)), expected);
  });
}

test('challenges of several headers are one list', (t) => {
  t.deepEqual(
    parseChallenges(['Basic realm="a"', 'Bearer realm="b"']).map(({ scheme }) => scheme),
    ['basic', 'bearer'],
  );
});

const token = fc.stringMatching(/^[A-Za-z][A-Za-z0-9!#$%&'*+.^_`|~-]{0,12}$/);
const param = fc.tuple(token, fc.string({ unit: 'grapheme-ascii', maxLength: 30 }));
const challenge = fc.record({
  scheme: token,
  params: fc.uniqueArray(param, { maxLength: 4, selector: ([name]) => name.toLowerCase() }),
});

function write({ scheme, params }: { scheme: string; params: [string, string][] }): string {
  const written = params.map(([name, value]) => `${name}="${value.replace(/[\\"]/g, '\\$&')}"`);
  return written.length === 0 ? scheme : `${scheme} ${written.join(', ')}`;
}

test('what is written by the grammar is read back', (t) => {
  fc.assert(
    fc.property(fc.array(challenge, { maxLength: 5 }), (challenges) => {
      const expected = challenges.map(({ scheme, params }) => [
        scheme.toLowerCase(),
        Object.fromEntries(params.map(([name, value]) => [name.toLowerCase(), value])),
      ]);
      t.deepEqual(plain(parseChallenges(challenges.map(write).join(', '))), expected);
    }),
  );
});

test('no text makes the reader throw or give more than sixteen challenges', (t) => {
  const hostile = fc.oneof(
    fc.string({ maxLength: 300 }),
    fc
      .array(fc.constantFrom('Basic', 'Bearer', ' ', ',', '=', '"', '\\', 'realm', 'x'), { maxLength: 60 })
      .map((parts) => parts.join('')),
  );
  fc.assert(
    fc.property(fc.array(hostile, { maxLength: 40 }), (values) => {
      t.true(parseChallenges(values).length <= 16);
    }),
  );
});

test('long hostile headers are read in linear time', (t) => {
  for (const piece of ['\\', '"', 'a ', 'a=', ' ,', '=', 'Bearer realm="\\"']) {
    const ms = processorTime(() => {
      parseChallenges(`Bearer realm="${piece.repeat(100_000)}`);
      parseChallenges(piece.repeat(100_000));
    });
    t.true(ms < 1_000, `${JSON.stringify(piece)} took ${ms} ms`);
  }
});
