import test from 'ava';
import { expectationsOf } from '../../../../bench/reconcile/expectations.ts';
import type { Figures } from '../../../../bench/reconcile/figures.ts';
import { report } from '../../../../bench/reconcile/report.ts';
import { formatTable } from '../../../../bench/table.ts';

/** A run that keeps every promise exactly. */
function figures(mirrors: number): Figures {
  const quiet = { leaseRequests: 2, writesButLease: 0, tally: { 'update leases/operator': 2 } };
  return {
    mirrors,
    secondsUntilAllExist: 1.8,
    secondsOfCreation: 0.5,
    loadBefore: 1,
    cpuSeconds: 1,
    newMirrors: {
      requests: { total: 10 * mirrors, verbs: { patch: 9 * mirrors, create: mirrors } },
      requestsPerMirror: 10,
      mostRequestsForOne: 10,
      requestsNamingNone: 0,
      refused: 0,
      tally: { 'patch services/registry-mirror-<mirror>': mirrors },
    },
    idle: { seconds: 60, requests: { total: 12, verbs: { update: 12 } }, ...quiet },
    restart: { secondsUntilLeading: 1, requests: { total: 20, verbs: { list: 20 } }, ...quiet },
    memory: { peak: 90, now: 80, anonymous: 50 },
  };
}

test('numbers are aligned to the right under their column and no line ends in spaces', (t) => {
  const rows = [
    ['', 'one', 'three'],
    ['a figure', '1', '22'],
    ['b', '4444', ''],
  ];
  t.is(formatTable(rows), '           one  three\na figure     1     22\nb         4444');
});

test('figures that just keep the promises meet them, and each broken promise is told', (t) => {
  t.true(expectationsOf([figures(1), figures(50)]).every(({ met }) => met));
  const broken = { ...figures(50), secondsUntilAllExist: 1.81 };
  broken.restart = { ...broken.restart, writesButLease: 1, requests: { total: 25, verbs: {} } };
  broken.newMirrors = { ...broken.newMirrors, mostRequestsForOne: 11 };
  const missed = expectationsOf([figures(1), broken]).filter(({ met }) => !met);
  t.deepEqual(
    missed.map(({ measured }) => measured),
    ['10, 11', '0, 1', '20, 25', '1.81'],
  );
});

test('nothing is said about what no run measured', (t) => {
  t.false(expectationsOf([figures(200)]).some(({ text }) => text.includes('50 mirrors')));
  t.deepEqual(expectationsOf([]), []);
});

test('the report has a column for each run, requests per mirror by verb, and the requests of the last run', (t) => {
  const lines = report([figures(1), figures(50)]).split('\n');
  t.regex(lines[0] ?? '', /^ +1 mirror {2}50 mirrors$/);
  t.true(lines.some((line) => /^ {2}patch +9 +9$/.test(line)));
  t.true(lines.includes('Requests for 50 new mirrors:'));
  t.true(lines.includes('  50 patch services/registry-mirror-<mirror>'));
});
