import test from 'ava';
import { type ClusterMeasurement, policyShare } from '../../../../bench/admission/cluster-figures.ts';

const measured = (
  round: number,
  engine: ClusterMeasurement['engine'],
  apiServer: number,
  webhook: number,
): ClusterMeasurement => ({
  ...{ round, engine, apiServer, webhook },
  pods: 'rewritten',
  perSecond: 100,
  p50: 1,
  p99: 2,
});

test('what the policy takes of the webhook’s path is the median of each round’s own', (t) => {
  const all = [
    measured(1, 'policy', 4, 0),
    measured(1, 'webhook', 4, 1),
    measured(2, 'policy', 45, 0),
    measured(2, 'webhook', 40, 10),
    measured(3, 'policy', 6, 0),
    measured(3, 'webhook', 4, 1),
  ];
  t.is(policyShare(all, 'rewritten'), 0.9);
  t.is(policyShare(all, 'unchanged'), Number.NaN);
});
