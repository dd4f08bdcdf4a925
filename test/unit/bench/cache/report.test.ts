import test from 'ava';
import { expectationsOf, ownFailures } from '../../../../bench/cache/expectations.ts';
import { names } from '../../../../bench/cache/names.ts';
import { report } from '../../../../bench/cache/report.ts';
import { scenariosOf } from '../../../../bench/cache/scenarios.ts';
import { measurement } from './measurements.ts';

const upstream = { requests: 5, tokens: 1, redirects: 1, bytes: 1024 * 1024 };
const good = [
  measurement(),
  measurement({ contender: names.distribution3, seconds: 2.5, firstByteMedian: 1 }),
  measurement({ scenario: 'warm-24', seconds: 1 }),
  measurement({ scenario: 'warm-24', contender: names.distribution3, seconds: 1 }),
  measurement({ scenario: 'warm-24', contender: names.file, seconds: 0.96 }),
  measurement({ scenario: 'limited' }),
  measurement({ scenario: 'limited', contender: names.distribution3, seconds: 2.5 }),
  measurement({ scenario: 'down' }),
];

function missed(all: Parameters<typeof expectationsOf>[0]): string[] {
  return expectationsOf(all)
    .filter(({ met }) => !met)
    .map(({ text, measured }) => `${text}: ${measured}`);
}

test('figures that just keep the promises meet them', (t) => {
  t.is(expectationsOf(good).length, 9);
  t.deepEqual(missed(good), []);
});

test('each broken promise is told with what was measured, of one replica and of two', (t) => {
  const worse = measurement({ contender: names.mirrors, multiple: 2, upstream: { ...upstream, tokens: 3 } });
  t.deepEqual(missed([...good, worse]), [
    'Upstream bytes at most 1.01 times the object: mirror cold-24 1, mirror limited 1, mirror x2 cold-24 2',
    'At most 2 tokens for a blob: mirror cold-24 1, mirror limited 1, mirror x2 cold-24 3',
  ]);
});

test('one bad round breaks a promise about bytes, the median of all decides about time', (t) => {
  const round = (number: number, changes: object) => [
    measurement({ round: number, ...changes }),
    measurement({ round: number, contender: names.distribution3, seconds: 2.5, firstByteMedian: 1 }),
  ];
  const all = [...round(0, {}), ...round(1, { multiple: 1.2, seconds: 9 }), ...round(2, {})];
  t.deepEqual(
    missed(all).map((text) => text.split(':')[0]),
    ['Upstream bytes at most 1.01 times the object'],
  );
});

test('beside a ratio to distribution stands that of a plain file, which decides nothing', (t) => {
  const file = measurement({ contender: names.file, seconds: 2 });
  const told = expectationsOf([...good, file]).find(({ text }) => text.startsWith('Cold herd: last client'));
  t.deepEqual(told, {
    text: 'Cold herd: last client at most 0.40 of distribution 3.1.2',
    met: true,
    measured: 'mirror cold-24 0.4, static file cold-24 0.8',
  });
});

test('only failures of this mirror count as ours', (t) => {
  const failures = ['status 500'];
  t.is(ownFailures([measurement({ contender: names.distribution2, failures })]), 0);
  t.is(ownFailures([measurement({ contender: names.mirrors, failures })]), 1);
});

test('the report has a table for each scenario that was measured, the expectations and the failures', (t) => {
  const all = [...good, measurement({ contender: names.distribution2, failures: ['status 500', 'other'] })];
  const text = report(scenariosOf({ quick: false, only: [] }), all);
  t.regex(text, /^cold, 24 clients \(128 MiB\) +first byte: median/m);
  t.regex(text, /^mirror +0\.100 +0\.200 +1\.00 +24 +1\.00x +5 +1 +1 /m);
  t.notRegex(text, /^cold, 200 clients/m);
  t.regex(text, /^ {2}ok +Upstream bytes/m);
  t.regex(text, /^ {2}distribution 2\.8\.2, cold-24: 2, such as status 500$/m);
});
