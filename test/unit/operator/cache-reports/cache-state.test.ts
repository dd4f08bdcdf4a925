import test from 'ava';
import { cacheState, storedState } from '../../../../src/operator/cache-reports/cache-state.ts';
import type { ReplicaReport } from '../../../../src/operator/cache-reports/replica-report.ts';
import { replicaReport } from './replica-reports.ts';

const now = new Date('2026-01-02T12:00:00Z');
const GiB = 2 ** 30;

function stateOf(reports: readonly ReplicaReport[], before = {}) {
  const { findings, numbers } = cacheState(reports, before, now);
  const found = (type: string) => findings.find((finding) => finding.type === type);
  return {
    numbers,
    upstream: found('UpstreamReachable'),
    writable: found('CacheWritable'),
    used: found('InUse'),
  };
}

const at = (time: string) => `2026-01-02T${time}Z`;
const upstream = (reason: string, asked: string, message?: string) => ({
  upstream: { reason, since: at('09:00:00.123'), asked: at(asked), ...(message && { message }) },
});

test('Without replicas nothing is known', (t) => {
  const { upstream: reachable, writable, used, numbers } = stateOf([]);
  for (const finding of [reachable, writable, used])
    t.like(finding, { status: 'Unknown', reason: 'NoReport' });
  t.deepEqual(numbers, {});
});

test('The worst that was heard of the upstream lately counts', (t) => {
  const heard = (...parts: [string, string][]) => {
    const reports = parts.map(([reason, asked], index) =>
      replicaReport(upstream(reason, asked), `r-${index}`),
    );
    const { status, reason } = stateOf(reports).upstream ?? {};
    return `${status} ${reason}`;
  };
  t.is(heard(['Ok', '11:00:00']), 'True Reachable');
  t.is(heard(['Ok', '11:00:00'], ['Timeout', '10:55:00']), 'False Timeout');
  t.is(heard(['Ok', '11:00:00'], ['Timeout', '10:45:00']), 'True Reachable', 'that is old news');
  t.is(heard(['RateLimited', '11:00:00'], ['DNS', '11:00:00']), 'False DNS');
  t.is(heard(['Unknown', '11:00:00']), 'Unknown NotAsked');
  t.is(heard(['Unknown', '11:00:00'], ['ServerError', '08:00:00']), 'False ServerError');
  t.is(heard(['Newer', '11:00:00'], ['DNS', '11:00:00']), 'False Newer', 'of a newer version');
});

test('Credentials that a token server is not shown are told with its name, by whom, and what helps, and kept until a replica was asked', (t) => {
  const { credentials } = cacheState(
    [replicaReport({ credentialsWithheld: 'auth.example' }), replicaReport({}, 'r-1')],
    {},
    now,
  );
  t.like(credentials, { type: 'CredentialsValid', status: 'False', reason: 'TokenServerNotNamed' });
  t.regex(credentials?.message ?? '', /^registry-mirror-hub-0: .*auth\.example .*spec\.tokenHosts/);
  t.is(cacheState([replicaReport()], {}, now).credentials, undefined);
  const stored = (reason: string) => {
    const condition = { type: 'CredentialsValid', status: 'False', reason, message: 'm' } as const;
    return storedState({ conditions: [{ ...condition, lastTransitionTime: at('09:00:00') }] }).credentials;
  };
  for (const reason of ['TokenServerNotNamed', 'CredentialsUnusable'])
    t.like(stored(reason), { status: 'False', message: 'm' });
  t.is(stored('SecretNotFound'), undefined);
});

test('Credentials that replicas cannot use are told with why and by whom, before what else is wrong', (t) => {
  const why = '.dockerconfigjson: expected an entry for gcr.io, got none';
  const reports = [
    replicaReport({ credentialsWithheld: 'auth.example' }),
    replicaReport({ credentialsUnusable: why }, 'r-1'),
  ];
  const { credentials } = cacheState(reports, {}, now);
  t.like(credentials, { type: 'CredentialsValid', status: 'False', reason: 'CredentialsUnusable' });
  t.true(credentials?.message.startsWith(`r-1: ${why}; `));
});

test('A failing upstream is told with who found it, since when, why, until when, and what helps', (t) => {
  const { message = '', warn } =
    stateOf([
      replicaReport({
        upstream: { ...upstream('RateLimited', '11:00:00', 'got 429').upstream, until: at('13:00:00.5') },
      }),
    ]).upstream ?? {};
  t.is(warn, 'byReason');
  t.regex(message, /^registry-mirror-hub-0 found it so since 2026-01-02T09:00:00Z; /);
  t.regex(message, /until 2026-01-02T13:00:00Z; got 429; what is cached is served/);
});

test('What a pod says gets into a condition only in its form', (t) => {
  const long = 'x'.repeat(100_000);
  const cache = { bytes: 0, limitBytes: 1, freeBytes: 0, writable: false, reason: long, message: long };
  const { upstream: reachable, writable } = stateOf([
    replicaReport({ ...upstream('no word', '11:00:00', long), cache }),
  ]);
  t.is(reachable?.reason, 'Failing');
  t.is(writable?.reason, 'NotWritable');
  for (const finding of [reachable, writable]) t.true((finding?.message.length ?? 0) < 1_000);
});

test('One replica that cannot write is told by name; that is no more than a condition', (t) => {
  const cache = { bytes: 1, limitBytes: 2, freeBytes: 0, writable: true };
  const full = { ...cache, writable: false, reason: 'Full', message: 'the volume is full' };
  t.like(stateOf([replicaReport({ cache })]).writable, { status: 'True', reason: 'Writable' });
  t.like(stateOf([replicaReport()]).writable, { status: 'Unknown', reason: 'NoReport' });
  const { writable } = stateOf([replicaReport({ cache }), replicaReport({ cache: full }, 'r-1')]);
  t.like(writable, { status: 'False', reason: 'Full', warn: 'byReason' });
  t.regex(writable?.message ?? '', /^r-1: .*the volume is full$/);
});

test('Sizes and ratio are those of all replicas, rounded so that they stand still', (t) => {
  const cache = { limitBytes: 16 * GiB, freeBytes: 1, writable: true };
  const one = { cache: { ...cache, bytes: 12.3 * GiB }, hour: { bytes: 900, upstreamBytes: 100 } };
  const other = { cache: { ...cache, bytes: 0.01 * GiB }, hour: { bytes: 100, upstreamBytes: 0 } };
  const { numbers } = stateOf([replicaReport(one), replicaReport(other, 'r-1')]);
  t.deepEqual(numbers, { cacheSize: '12.3 GiB of 32.0 GiB', hitRatio: '90%' });
  const still = { ...one, cache: { ...one.cache, bytes: 12.3 * GiB + 4096 } };
  t.deepEqual(stateOf([replicaReport(still), replicaReport(other, 'r-1')]).numbers, numbers);
  const ahead = replicaReport({ hour: { bytes: 10, upstreamBytes: 500 } });
  t.is(stateOf([ahead]).numbers.hitRatio, '0%', 'more was fetched than served yet');
  t.is(stateOf([replicaReport()]).numbers.hitRatio, undefined, 'nothing was served');
});

test('A pull of the future, from before a clock was set back, is forgotten', (t) => {
  const before = { lastPull: '2027-01-02T12:00:00Z' };
  t.like(stateOf([replicaReport()], before), { numbers: {}, used: { reason: 'NotUsed' } });
  const ahead = { lastPull: '2026-03-01T00:00:00Z' };
  const { numbers, used } = stateOf(
    [replicaReport(ahead), replicaReport({ lastPull: at('11:00:00') })],
    before,
  );
  t.is(numbers.lastPull, at('11:00:00'));
  t.is(used?.reason, 'Pulled');
  t.is(
    stateOf([replicaReport({ lastPull: at('12:01:00') })]).numbers.lastPull,
    at('12:01:00'),
    'clocks differ',
  );
});

test('A mirror is in use when something was pulled in the last day, also by a replica that is gone', (t) => {
  const pulled = (lastPull: string) => stateOf([replicaReport({ lastPull })]);
  t.like(pulled(at('11:59:59.5')).used, { status: 'True', reason: 'Pulled' });
  t.is(pulled(at('11:59:59.5')).numbers.lastPull, at('11:59:00'), 'to the minute');
  t.like(pulled('2026-01-01T11:00:00Z').used, { status: 'False', reason: 'NotUsed' });
  t.like(stateOf([replicaReport()]).used, { status: 'False', reason: 'NotUsed' });
  const restarted = stateOf([replicaReport()], { lastPull: at('10:00:00') });
  t.like(restarted.used, { status: 'True', reason: 'Pulled' });
  t.is(restarted.numbers.lastPull, at('10:00:00'));
});
