/** What pod creations cost a cluster, and what that says. Pure. */
import { formatTable } from '../table.ts';
import { median } from './figures.ts';

export interface ClusterContender {
  readonly engine: 'nothing' | 'policy' | 'webhook';
  readonly pods: 'rewritten' | 'unchanged';
}

export const clusterContenders: readonly ClusterContender[] = [
  { engine: 'nothing', pods: 'unchanged' },
  { engine: 'policy', pods: 'rewritten' },
  { engine: 'webhook', pods: 'rewritten' },
  { engine: 'policy', pods: 'unchanged' },
  { engine: 'webhook', pods: 'unchanged' },
];

export interface ClusterMeasurement extends ClusterContender {
  readonly round: number;
  readonly perSecond: number;
  /** Milliseconds. */
  readonly p50: number;
  readonly p99: number;
  /** Milliseconds of processor time per pod. */
  readonly apiServer: number;
  readonly webhook: number;
}

/** Medians of the rounds. */
export interface ClusterRow extends Omit<ClusterMeasurement, 'round'> {
  /** Processor time per pod of both. */
  readonly both: number;
}

export function clusterRows(all: readonly ClusterMeasurement[]): ClusterRow[] {
  return clusterContenders.map(({ engine, pods }) => {
    const rounds = all.filter((each) => each.engine === engine && each.pods === pods);
    const of = (figure: (measurement: ClusterMeasurement) => number) => median(rounds.map(figure));
    return {
      engine,
      pods,
      perSecond: of(({ perSecond }) => perSecond),
      p50: of(({ p50 }) => p50),
      p99: of(({ p99 }) => p99),
      apiServer: of(({ apiServer }) => apiServer),
      webhook: of(({ webhook }) => webhook),
      both: of(({ apiServer, webhook }) => apiServer + webhook),
    };
  });
}

/**
 * Of the webhook's processor time per pod what the policy takes, API server and webhook together: the median of each round's own, since what else the
 * machine does differs more between rounds.
 */
export function policyShare(all: readonly ClusterMeasurement[], pods: ClusterContender['pods']): number {
  const rounds = [...Map.groupBy(all, ({ round }) => round).values()];
  return median(rounds.map((some) => costOf(some, 'policy', pods) / costOf(some, 'webhook', pods)));
}

function costOf(
  round: readonly ClusterMeasurement[],
  engine: ClusterContender['engine'],
  pods: ClusterContender['pods'],
): number {
  const found = round.find((each) => each.engine === engine && each.pods === pods);
  return found === undefined ? Number.NaN : found.apiServer + found.webhook;
}

const titles: Readonly<Record<string, string>> = {
  'nothing unchanged': 'nothing registered',
  'policy rewritten': 'policy, 3 images rewritten',
  'webhook rewritten': 'webhook, 3 images rewritten',
  'policy unchanged': 'policy, nothing to rewrite',
  'webhook unchanged': 'webhook, nothing to rewrite',
};

export function clusterReport(rows: readonly ClusterRow[]): string {
  const head = ['', 'pods/s', 'p50 ms', 'p99 ms', 'CPU ms/pod: API server', 'webhook', 'both'];
  const body = rows.map((row) => [
    titles[`${row.engine} ${row.pods}`] ?? '',
    row.perSecond.toFixed(0),
    row.p50.toFixed(1),
    row.p99.toFixed(1),
    row.apiServer.toFixed(2),
    row.webhook.toFixed(2),
    row.both.toFixed(2),
  ]);
  return formatTable([head, ...body]);
}
