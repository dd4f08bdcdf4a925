/** What the mirror has promised about its figures, and whether the measured ones keep it. Pure. */
import { type Measurement, ratio } from './figures.ts';
import { names, own } from './names.ts';

export interface Expectation {
  readonly text: string;
  readonly met: boolean;
  readonly measured: string;
}

interface Promised {
  readonly text: string;
  readonly scenarios: readonly string[];
  /** The figure of one contender in one scenario; undefined where it was not measured. */
  readonly figure: (all: readonly Measurement[], scenario: string, contender: string) => number | undefined;
  readonly keeps: (figure: number) => boolean;
  /** A ratio that a plain file has as well: what is left to any server on this machine. */
  readonly hasLimit?: true;
}

const herds = ['cold-24', 'cold-200'];
const colds = ['cold-1', ...herds, 'limited'];

const promises: readonly Promised[] = [
  {
    text: 'Upstream bytes at most 1.01 times the object',
    scenarios: [...herds, 'limited'],
    figure: worst(({ multiple }) => multiple),
    keeps: (figure) => figure <= 1.01,
  },
  {
    text: 'At most 2 redirects for a blob',
    scenarios: colds,
    figure: worst(({ upstream }) => upstream.redirects),
    keeps: (figure) => figure <= 2,
  },
  {
    text: 'At most 2 tokens for a blob',
    scenarios: colds,
    figure: worst(({ upstream }) => upstream.tokens),
    keeps: (figure) => figure <= 2,
  },
  {
    text: `Cold herd: median first byte at most 0.15 of ${names.distribution3}`,
    scenarios: herds,
    figure: against(names.distribution3, ({ firstByteMedian }) => firstByteMedian),
    keeps: (figure) => figure <= 0.15,
    hasLimit: true,
  },
  {
    text: `Cold herd: last client at most 0.40 of ${names.distribution3}`,
    scenarios: herds,
    figure: against(names.distribution3, ({ seconds }) => seconds),
    keeps: (figure) => figure <= 0.4,
    hasLimit: true,
  },
  {
    text: `Cold herd, limited upstream: last client at most 0.40 of ${names.distribution3}`,
    scenarios: ['limited'],
    figure: against(names.distribution3, ({ seconds }) => seconds),
    keeps: (figure) => figure <= 0.4,
  },
  {
    text: `Warm: not slower than ${names.distribution3}`,
    scenarios: ['warm-24'],
    figure: against(names.distribution3, ({ seconds }) => seconds),
    keeps: (figure) => figure <= 1,
  },
  {
    text: 'Warm: at least 0.95 of the throughput of a static file',
    scenarios: ['warm-24'],
    figure: against(names.file, ({ mebibytes, seconds }) => mebibytes / seconds),
    keeps: (figure) => figure >= 0.95,
  },
  {
    text: 'No failed pull of a cached image with the upstream down or at 429',
    scenarios: ['down', 'rate-limited'],
    figure: worst(({ failures }) => failures.length),
    keeps: (figure) => figure === 0,
  },
];

/** Returns the expectations there are figures for. */
export function expectationsOf(all: readonly Measurement[]): Expectation[] {
  return promises.flatMap((promised) => {
    const figures = figuresOf(promised, own, all);
    if (figures.length === 0) return [];
    const limits = promised.hasLimit ? figuresOf(promised, [names.file], all) : [];
    const measured = [...figures, ...limits].map(({ value, label }) => `${label} ${rounded(value)}`);
    return [
      {
        text: promised.text,
        met: figures.every(({ value }) => promised.keeps(value)),
        measured: measured.join(', '),
      },
    ];
  });
}

function figuresOf(
  { scenarios, figure }: Promised,
  contenders: readonly string[],
  all: readonly Measurement[],
): { value: number; label: string }[] {
  return contenders.flatMap((contender) =>
    scenarios.flatMap((scenario) => {
      const value = figure(all, scenario, contender);
      return value === undefined ? [] : [{ value, label: `${contender} ${scenario}` }];
    }),
  );
}

/** How many transfers of this mirror failed, anywhere. */
export function ownFailures(all: readonly Measurement[]): number {
  return all
    .filter(({ contender }) => own.includes(contender))
    .reduce((sum, { failures }) => sum + failures.length, 0);
}

function worst(figure: (measurement: Measurement) => number): Promised['figure'] {
  return (all, scenario, contender) => {
    const rounds = all.filter((one) => one.scenario === scenario && one.contender === contender);
    return rounds.length === 0 ? undefined : Math.max(...rounds.map(figure));
  };
}

function against(to: string, figure: (measurement: Measurement) => number): Promised['figure'] {
  return (all, scenario, contender) => ratio(all, { scenario, contender, to }, figure);
}

function rounded(value: number): number {
  return Math.round(value * 1000) / 1000;
}
