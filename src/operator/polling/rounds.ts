/** Polling in rounds: of cache replicas and of node agents. Pure but for time; knows nothing of who is asked. */
import { setTimeout as delay } from 'node:timers/promises';

/** Between two rounds, in milliseconds. */
export interface Pause {
  readonly least: number;
  readonly most: number;
}

/** All mirrors at the same moment of each minute would be a burst. */
const defaultPause: Pause = { least: 15_000, most: 30_000 };
/** Who is too busy to answer keeps the last word for so long. */
export const keptMs = 120_000;

export interface RoundsOptions {
  readonly random?: (() => number) | undefined;
  readonly pauseMs?: Pause | undefined;
  /** True while news is expected any moment: the next round comes soon. */
  readonly hurries?: () => boolean;
}

/** Calls `round` again and again until `signal` is aborted; rejects only as `round` does. */
export async function inRounds(
  round: () => Promise<void>,
  { random = Math.random, pauseMs = defaultPause, hurries = () => false }: RoundsOptions,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    await round();
    const { least, most } = hurries() ? hurried(pauseMs) : pauseMs;
    const pause = least + random() * (most - least);
    await delay(pause, undefined, { signal }).catch(() => undefined);
  }
}

/** A fifth of the pause. */
function hurried({ least, most }: Pause): Pause {
  return { least: least / 5, most: most / 5 };
}

/** Works on all items, so many at a time; an item is taken when there is somebody to work on it. */
export async function eachOf<Item>(
  items: Iterable<Item>,
  parallel: number,
  work: (item: Item) => Promise<void>,
): Promise<void> {
  const left = items[Symbol.iterator]();
  const worker = async () => {
    for (let next = left.next(); !next.done; next = left.next()) await work(next.value);
  };
  await Promise.all(Array.from({ length: parallel }, worker));
}
