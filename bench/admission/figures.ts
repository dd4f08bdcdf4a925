/** What the webhook alone was measured to do, and what that says. Pure. */
import { formatTable } from '../table.ts';

/** The bare server, and the webhook with pods whose images are all rewritten, and with pods that no rule is for. */
export const contenders = ['bare', 'rewritten', 'unchanged'] as const;
export type Contender = (typeof contenders)[number];

export interface Measurement {
  readonly round: number;
  readonly contender: Contender;
  readonly connections: number;
  readonly perSecond: number;
  /** Milliseconds. */
  readonly p50: number;
  readonly p99: number;
  readonly cpuMsPerRequest: number;
}

/** Medians of the rounds. */
export interface Row extends Omit<Measurement, 'round'> {
  /** Of its requests per second to the bare server's: the median of each round's own, since what else the machine does differs more between rounds. */
  readonly ratio: number;
}

/** The least the webhook may do of what the bare server does. */
export const leastRatio = 0.8;

export function rowsOf(all: readonly Measurement[]): Row[] {
  const groups = Map.groupBy(all, ({ connections, contender }) => `${connections} ${contender}`);
  return [...groups.values()].flatMap((rounds) => {
    const [first] = rounds;
    if (first === undefined) return [];
    const of = (figure: (measurement: Measurement) => number) => median(rounds.map(figure));
    return [
      {
        contender: first.contender,
        connections: first.connections,
        perSecond: of(({ perSecond }) => perSecond),
        p50: of(({ p50 }) => p50),
        p99: of(({ p99 }) => p99),
        cpuMsPerRequest: of(({ cpuMsPerRequest }) => cpuMsPerRequest),
        ratio: of((each) => each.perSecond / (bareBeside(each, all)?.perSecond ?? Number.NaN)),
      },
    ];
  });
}

function bareBeside(
  { round, connections }: Measurement,
  all: readonly Measurement[],
): Measurement | undefined {
  return all.find(
    (each) => each.contender === 'bare' && each.round === round && each.connections === connections,
  );
}

export function isAsExpected({ ratio }: Row): boolean {
  return ratio >= leastRatio;
}

const titles: Readonly<Record<Contender, string>> = {
  bare: 'bare node:https server',
  rewritten: 'webhook, 3 images rewritten',
  unchanged: 'webhook, nothing to rewrite',
};

export function report(rows: readonly Row[]): string {
  const head = ['', 'connections', 'requests/s', 'of bare', 'p50 ms', 'p99 ms', 'CPU ms/request', ''];
  const body = rows.map((row) => [
    titles[row.contender],
    String(row.connections),
    row.perSecond.toFixed(0),
    row.ratio.toFixed(2),
    row.p50.toFixed(2),
    row.p99.toFixed(2),
    row.cpuMsPerRequest.toFixed(3),
    isAsExpected(row) ? '' : 'MISSED',
  ]);
  return formatTable([head, ...body]);
}

/** Takes numbers in any order. */
export function median(values: readonly number[]): number {
  return percentile(
    [...values].sort((a, b) => a - b),
    50,
  );
}

/** Takes numbers in ascending order; the smallest that so many per cent are not above. */
export function percentile(sorted: readonly number[], percent: number): number {
  return sorted[Math.max(0, Math.ceil((sorted.length * percent) / 100) - 1)] ?? Number.NaN;
}
