import test from 'ava';
import { ApiError, ConnectionError } from '../../../../src/kube/errors.ts';
import { Failures, type FailuresOptions } from '../../../../src/operator/registry-mirror/failures.ts';
import type { Report } from '../../../../src/operator/registry-mirror/report.ts';
import type { StoredMirror } from '../../../../src/operator/registry-mirror/status.ts';

const { signal } = new AbortController();

function mirror(metadata: object = {}): StoredMirror {
  const lastTransitionTime = '2026-01-01T00:00:00Z';
  const valid = {
    type: 'CredentialsValid',
    status: 'True',
    reason: 'Valid',
    message: '',
    lastTransitionTime,
  };
  return {
    apiVersion: 'k8s.osp.tech/v1',
    kind: 'RegistryMirror',
    metadata: { name: 'm', ...metadata },
    spec: { upstreamUrl: 'quay.io' },
    status: { clusterIPs: ['10.0.0.7'], conditions: [{ ...valid, status: 'True' }] },
  };
}

/** With what it told, and a clock that goes on by `seconds` with each failure. */
function failures(seconds: number) {
  const reports: Report[] = [];
  const warnings: string[] = [];
  const clock = { now: 0 };
  const teller = new Failures({
    settings: { addressingScheme: 'hostess' },
    reporter: { report: async (_stored: unknown, report: Report) => reports.push(report) },
    events: { warning: async (_stored: unknown, reason: string) => warnings.push(reason) },
    now: () => {
      clock.now += seconds * 1000;
      return new Date(clock.now);
    },
  } as unknown as FailuresOptions);
  return { teller, reports, warnings, clock };
}

test('a failure that lasts is an obstacle, and what earlier passes found of the mirror stays', async (t) => {
  const { teller, reports } = failures(6);
  for (const _ of [1, 2]) await teller.tell(mirror(), new TypeError('no such thing'), signal);
  t.deepEqual(reports, []);
  await teller.tell(mirror(), new TypeError('no such thing'), signal);
  t.is(reports.length, 1);
  t.deepEqual(reports[0]?.obstacles, [
    { reason: 'ReconcileFailed', message: 'no such thing; it is tried again' },
  ]);
  t.like(reports[0]?.findings[0], { type: 'CredentialsValid', reason: 'Valid' });
  t.deepEqual(reports[0]?.wiring, { wire: 'alias', byNameAlone: true });
  t.deepEqual(reports[0]?.status, {
    clusterIPs: ['10.0.0.7'],
    upstreamUrl: 'quay.io',
    masquerade: 'mirror-quay.io',
  });
});

test('a failure is told ten seconds later also where the clock was set back meanwhile', async (t) => {
  const { teller, reports, clock } = failures(6);
  clock.now = 3_600_000;
  await teller.tell(mirror(), new TypeError('no such thing'), signal);
  clock.now = 0;
  for (const _ of [1, 2, 3]) await teller.tell(mirror(), new TypeError('no such thing'), signal);
  t.is(reports.length, 1);
});

test('a mirror that was brought about in between has not failed long', async (t) => {
  const { teller, reports } = failures(6);
  for (const _ of [1, 2, 3, 4]) {
    await teller.tell(mirror(), new TypeError('no such thing'), signal);
    teller.forget('m');
  }
  t.deepEqual(reports, []);
});

test('an API server that is away is no failure of the mirror, and what it forbids is told already', async (t) => {
  const { teller, reports } = failures(20);
  for (const error of [new ConnectionError('GET /', 'refused'), new ApiError('PATCH /', 403)]) {
    for (const _ of [1, 2]) await teller.tell(mirror(), error, signal);
  }
  t.deepEqual(reports, []);
});

test('of a mirror that goes an event tells, because its status says which nodes are to be restored', async (t) => {
  const { teller, reports, warnings } = failures(20);
  const going = mirror({ deletionTimestamp: '2026-01-01T00:00:00Z' });
  for (const _ of [1, 2]) await teller.tell(going, new ApiError('DELETE /', 403), signal);
  t.deepEqual([reports, warnings], [[], ['ReconcileFailed']]);
});
