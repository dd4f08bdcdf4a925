import test from 'ava';
import { reconciling } from '../../../../src/operator/registry-mirror/reconciling.ts';
import { replicaReport } from '../cache-reports/replica-reports.ts';

const set = (status: object, generation = 2) =>
  ({
    apiVersion: 'apps/v1',
    kind: 'StatefulSet',
    metadata: { name: 'registry-mirror-hub', generation },
    spec: { replicas: 2 },
    status: { observedGeneration: 2, replicas: 2, readyReplicas: 2, updatedReplicas: 2, ...status },
  }) as const;
const [first, second] = ['first', 'second'].map((name) => replicaReport({ configuration: 'new' }, name));
const both = [first!, second!];
const found = (facts: Partial<Parameters<typeof reconciling>[0]> = {}) => {
  const { type, status, reason, message } = reconciling({
    ...{ statefulSet: set({}), configuration: 'new', reports: both, stored: undefined, generation: 5 },
    ...facts,
  });
  return `${type} ${status} ${reason}: ${message}`;
};

test('replicas that have the spec are no matter, whether they serve or not', (t) => {
  t.regex(found(), /^Reconciling False UpToDate: /);
  t.regex(found({ statefulSet: set({ readyReplicas: 0 }), reports: [] }), / False UpToDate: /);
  t.regex(found({ statefulSet: set({ readyReplicas: 1 }), reports: [first!] }), / False UpToDate: /);
  t.regex(
    found({ reports: [replicaReport({ configuration: 'new' }), replicaReport({}, 'of before')] }),
    / False UpToDate: /,
  );
});

test('what is under way is told: a roll-out, replicas to go, a configuration that is not there yet', (t) => {
  t.regex(found({ statefulSet: undefined }), / True NotCreated: /);
  t.regex(found({ statefulSet: set({}, 3) }), / True RollingOut: .*just now/);
  t.regex(found({ statefulSet: set({ updatedReplicas: 1 }) }), / True RollingOut: 1 of 2 replicas/);
  t.regex(found({ statefulSet: set({ replicas: 3 }) }), / True RollingOut: 1 replicas are still to go/);
  const reports = [replicaReport({ configuration: 'new' }), replicaReport({ configuration: 'old' }, 'late')];
  t.regex(found({ reports }), / True ConfigurationPending: late: /);
});

test('of a replica that serves and has told nothing yet, nothing is claimed', (t) => {
  t.regex(found({ reports: [] }), / Unknown NoReport: 2 replicas/);
  t.regex(found({ reports: [first!] }), / Unknown NoReport: 1 replicas/);
  const late = replicaReport({ configuration: 'old' }, 'late');
  t.regex(found({ reports: [late] }), / True ConfigurationPending: late: /);
});

test('what only replicas know stands until one was asked, and what was not brought about is not awaited', (t) => {
  const condition = {
    type: 'Reconciling',
    status: 'True',
    reason: 'ConfigurationPending',
    message: 'm',
  } as const;
  const stored = (observedGeneration: number) => ({
    conditions: [{ ...condition, observedGeneration, lastTransitionTime: '2026-01-01T00:00:00Z' }],
  });
  t.regex(found({ reports: undefined, stored: stored(5) }), / True ConfigurationPending: m/);
  t.regex(found({ reports: undefined, stored: stored(4) }), / Unknown NoReport: 2 /, 'of another spec');
  t.regex(found({ reports: undefined }), / Unknown NoReport: 2 /);
  t.regex(found({ reports: undefined, statefulSet: set({ readyReplicas: 0 }) }), / False UpToDate: /);
  t.regex(found({ configuration: undefined }), / False NotInForce: /);
});
