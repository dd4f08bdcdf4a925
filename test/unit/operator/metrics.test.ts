import test from 'ava';
import type { KubeObject } from '../../../src/kube/object.ts';
import { OperatorMetrics } from '../../../src/operator/metrics.ts';

const conditions = [
  { type: 'Ready', status: 'False', reason: 'Stalled' },
  { type: 'Stalled', status: 'True', reason: 'InvalidSpec' },
];
const hub = {
  kind: 'RegistryMirror',
  metadata: { name: 'hub' },
  status: { conditions },
} as unknown as KubeObject;
const fresh = { kind: 'RegistryMirror', metadata: { name: 'fresh' } } as unknown as KubeObject;

async function seriesOf(metrics: OperatorMetrics): Promise<string[]> {
  const { text } = await metrics.text();
  return text.split('\n').filter((line) => /^registry_mirror_(operator_(?!.*_bucket)|condition)/.test(line));
}

test('it tells what its replica is, what became of reconciles, and the conditions of mirrors', async (t) => {
  let mirrors = [hub, fresh];
  const metrics = new OperatorMetrics({
    leading: () => true,
    synced: () => false,
    mirrors: () => mirrors,
    webhookAnnounced: () => true,
  });
  metrics.queue = { length: 2, failing: 1 };
  metrics.reconciled('failed', 0.5);
  metrics.reconciled('done', 1);
  t.deepEqual(await seriesOf(metrics), [
    'registry_mirror_operator_reconciles_total{result="done"} 1',
    'registry_mirror_operator_reconciles_total{result="waiting"} 0',
    'registry_mirror_operator_reconciles_total{result="stalled"} 0',
    'registry_mirror_operator_reconciles_total{result="failed"} 1',
    'registry_mirror_operator_reconcile_duration_seconds_sum 1.5',
    'registry_mirror_operator_reconcile_duration_seconds_count 2',
    'registry_mirror_operator_leading 1',
    'registry_mirror_operator_synced 0',
    'registry_mirror_operator_queue_length 2',
    'registry_mirror_operator_failing 1',
    'registry_mirror_operator_webhook_announced 1',
    'registry_mirror_condition{mirror="hub",condition="Ready",status="False",reason="Stalled"} 1',
    'registry_mirror_condition{mirror="hub",condition="Stalled",status="True",reason="InvalidSpec"} 1',
  ]);
  mirrors = [];
  t.false((await seriesOf(metrics)).some((line) => line.startsWith('registry_mirror_condition{')));
});

test('a replica that does not lead has nothing in its queue, and without rewriting nothing is said of a webhook', async (t) => {
  const metrics = new OperatorMetrics({
    leading: () => false,
    synced: () => true,
    mirrors: () => [],
    webhookAnnounced: () => undefined,
  });
  const series = await seriesOf(metrics);
  t.true(series.includes('registry_mirror_operator_leading 0'));
  t.true(series.includes('registry_mirror_operator_failing 0'));
  t.false(series.some((line) => line.startsWith('registry_mirror_operator_webhook_announced')));
});
