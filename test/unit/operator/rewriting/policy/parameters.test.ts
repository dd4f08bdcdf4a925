import test from 'ava';
import { parametersObject, statusObject } from '../../../../../src/operator/rewriting/policy/parameters.ts';

const standing = { engine: 'webhook', rules: 3, reason: 'TooLarge', message: 'too many' } as const;
const [earlier, now] = ['2026-01-01T00:00:00Z', '2026-01-02T00:00:00Z'];
const live = {
  apiVersion: 'k8s.osp.tech/v1alpha1',
  kind: 'RewriteRules',
  metadata: { namespace: 'team', name: 'registry-mirror-rewrite', uid: 'u', generation: 4 },
};

test('rules are there only where the policy applies them, and the engine always', (t) => {
  const { metadata, spec } = parametersObject({ namespace: 'team', name: 'x', standing });
  t.deepEqual(spec, { engine: 'webhook' });
  t.deepEqual(metadata.labels, { 'app.kubernetes.io/managed-by': 'registry-mirror-operator' });
});

test('the status says who rewrites, how many rules there are, and why', (t) => {
  const { metadata, status } = statusObject(live, standing, now);
  t.deepEqual(metadata, { namespace: 'team', name: 'registry-mirror-rewrite', uid: 'u' });
  t.deepEqual(status, {
    observedGeneration: 4,
    engine: 'webhook',
    rules: 3,
    reason: 'too many',
    conditions: [
      {
        type: 'ByPolicy',
        status: 'False',
        reason: 'TooLarge',
        message: 'too many',
        lastTransitionTime: now,
        observedGeneration: 4,
      },
    ],
  });
});

test('the time of the condition is that of its last change', (t) => {
  const condition = (status: string) => ({
    ...live,
    status: { conditions: [{ type: 'ByPolicy', status, lastTransitionTime: earlier }] },
  });
  const timeAfter = (status: string) =>
    (
      statusObject(condition(status), standing, now)['status'] as {
        conditions: { lastTransitionTime: string }[];
      }
    ).conditions[0]?.lastTransitionTime;
  t.is(timeAfter('False'), earlier);
  t.is(timeAfter('True'), now);
});
