/** What is measured: which clients ask for which object, in which state of cache and upstream. Pure data. */

export type UpstreamState = 'up' | 'limited' | 'down' | 'rateLimited';

export interface Scenario {
  readonly name: string;
  readonly title: string;
  readonly clients: number;
  /** `image`: each client fetches the tag's manifest, the config and a layer. */
  readonly object: 'blob' | 'image';
  /** Of the blob, or of the image's layer. */
  readonly mebibytes: number;
  /** Fetched by one client before, so that it is in the cache. */
  readonly warm: boolean;
  readonly upstream: UpstreamState;
  /** Only this part of the blob is asked for, in bytes. */
  readonly range?: { readonly start: number; readonly end: number };
  /** How often it is measured, where that is less often than all the others. */
  readonly rounds?: number;
  /** How often in each round, where a few percent decide; default 1. */
  readonly repeats?: number;
}

/** How long a tag is taken from the cache; shorter than the default, so that a copy is soon one that must be asked for. */
export const tagTtlSeconds = 2;

const mebibyte = 1024 * 1024;

const blob = { object: 'blob', warm: false, upstream: 'up' } as const;
const image = { object: 'image', mebibytes: 1, clients: 24, warm: true } as const;

const full: readonly Scenario[] = [
  { ...blob, name: 'cold-1', title: 'cold, 1 client', clients: 1, mebibytes: 128 },
  { ...blob, name: 'cold-24', title: 'cold, 24 clients', clients: 24, mebibytes: 128 },
  { ...blob, name: 'cold-200', title: 'cold, 200 clients', clients: 200, mebibytes: 16 },
  {
    ...blob,
    name: 'warm-24',
    title: 'warm, 24 clients',
    clients: 24,
    mebibytes: 128,
    warm: true,
    repeats: 3,
  },
  {
    ...blob,
    name: 'range',
    title: 'Range of 1 MiB, cold blob',
    clients: 1,
    mebibytes: 128,
    range: { start: 100 * mebibyte, end: 101 * mebibyte - 1 },
  },
  { ...image, name: 'tag', title: 'tag pull, warm', upstream: 'up' },
  { ...image, name: 'down', title: 'upstream down, cached image', upstream: 'down' },
  { ...image, name: 'rate-limited', title: 'upstream 429, cached image', upstream: 'rateLimited' },
  // Once: 24 downloads of 32 MiB take 15 s at 50 MB/s, and the limit leaves little to chance.
  {
    ...blob,
    name: 'limited',
    title: 'upstream 50 MB/s in all, cold, 24 clients',
    clients: 24,
    mebibytes: 32,
    upstream: 'limited',
    rounds: 1,
  },
];

/** The upstream's limit of all its connections together. */
export const limitMegabytesPerSecond = 50;

/** The scenarios, smaller for a quick run; `only` these names, unless it is empty. */
export function scenariosOf(options: { quick: boolean; only: readonly string[] }): Scenario[] {
  const unknown = options.only.filter((name) => !full.some((scenario) => scenario.name === name));
  if (unknown.length > 0) throw new Error(`--only: there is no scenario ${unknown.join(', ')}`);
  return full
    .filter(({ name }) => options.only.length === 0 || options.only.includes(name))
    .map((scenario) => (options.quick ? quick(scenario) : scenario));
}

/** Of large blobs a quarter, but still two slices, and 60 clients instead of 200. */
function quick(scenario: Scenario): Scenario {
  const { clients, mebibytes, range } = scenario;
  return {
    ...scenario,
    clients: Math.min(clients, 60),
    repeats: 1,
    mebibytes: Math.min(mebibytes, Math.max(16, mebibytes / 4)),
    title: scenario.title.replace('200', '60'),
    ...(range && { range: { start: 20 * mebibyte, end: 21 * mebibyte - 1 } }),
  };
}

/** Every measurement in its order: round by round, scenario by scenario, each time beginning with another contender. */
export function schedule(
  scenarios: readonly Scenario[],
  contenders: number,
  rounds: number,
): { round: number; scenario: Scenario; contender: number }[] {
  return range(rounds).flatMap((outer) =>
    scenarios
      .filter((scenario) => outer < (scenario.rounds ?? rounds))
      .flatMap((scenario) => {
        const repeats = scenario.repeats ?? 1;
        return range(repeats).flatMap((repeat) => {
          const round = outer * repeats + repeat;
          return range(contenders).map((turn) => ({
            round,
            scenario,
            contender: (turn + round) % contenders,
          }));
        });
      }),
  );
}

function range(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index);
}
