/** What pulls took, and what that says. Pure. */
import { median } from '../cache/figures.ts';
import { formatTable } from '../table.ts';

/** How a node's runtimes are wired: not at all, by our planners through the forwarder, or to the Service address by hand. */
export const wirings = ['none', 'ours', 'service'] as const;
export type Wiring = (typeof wirings)[number];

export interface Measurement {
  readonly round: number;
  readonly scenario: string;
  readonly runtime: string;
  readonly wiring: Wiring;
  readonly seconds: number;
  /** Requests that the mirror answered meanwhile. */
  readonly served: number;
  /** It was given up after so long, or failed. */
  readonly failure?: string;
}

/** One runtime in one scenario; seconds are medians of the rounds. */
export interface Row {
  readonly scenario: string;
  readonly runtime: string;
  readonly seconds: Readonly<Partial<Record<Wiring, number>>>;
  /** Of the wiring that is ours above no wiring. */
  readonly extra: number;
  readonly failures: Readonly<Record<Wiring, number>>;
}

/** What our wiring may cost a pull at most, in seconds. */
export const allowedExtra = 2;

export function rowsOf(all: readonly Measurement[]): Row[] {
  const groups = Map.groupBy(all, ({ scenario, runtime }) => `${scenario}\n${runtime}`);
  return [...groups.values()].map(rowOf);
}

export function isAsExpected({ extra, failures }: Row): boolean {
  return extra <= allowedExtra && failures.none + failures.ours === 0;
}

function rowOf(rounds: readonly Measurement[]): Row {
  const [{ scenario, runtime } = { scenario: '', runtime: '' }] = rounds;
  const of = (wiring: Wiring) => rounds.filter((each) => each.wiring === wiring);
  const seconds = Object.fromEntries(
    wirings
      .filter((wiring) => of(wiring).length > 0)
      .map((wiring) => [wiring, median(of(wiring).map((each) => each.seconds))]),
  ) as Row['seconds'];
  const failed = (wiring: Wiring) => of(wiring).filter(({ failure }) => failure !== undefined).length;
  return {
    scenario,
    runtime,
    seconds,
    extra: (seconds.ours ?? Number.NaN) - (seconds.none ?? Number.NaN),
    failures: { none: failed('none'), ours: failed('ours'), service: failed('service') },
  };
}

/** `titles` by scenario. */
export function report(rows: readonly Row[], titles: ReadonlyMap<string, string>): string {
  const head = ['scenario', 'runtime', 'no wiring', 'our wiring', 'above', 'Service address', ''];
  const body = rows.map((row) => [
    titles.get(row.scenario) ?? row.scenario,
    row.runtime,
    cell(row, 'none'),
    cell(row, 'ours'),
    `${row.extra < 0 ? '' : '+'}${row.extra.toFixed(2)}`,
    cell(row, 'service'),
    isAsExpected(row) ? '' : 'MISSED',
  ]);
  return formatTable([head, ...body]);
}

function cell({ seconds, failures }: Row, wiring: Wiring): string {
  const value = seconds[wiring];
  if (value === undefined) return '';
  return `${failures[wiring] > 0 ? 'failed ' : ''}${value.toFixed(2)}`;
}
