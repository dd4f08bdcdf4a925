/** Polling in rounds: of cache replicas and of node agents. Pure but for time; knows nothing of who is asked. */
import { pauseUntil } from '../../cache/pause.ts';

/** Between two rounds, in milliseconds. */
export interface Pause {
  readonly least: number;
  readonly most: number;
}

/** All mirrors at the same moment of each minute would be a burst. */
export const defaultPause: Pause = { least: 15_000, most: 30_000 };
/** Who is too busy to answer keeps the last word for so long. */
export const keptMs = 120_000;

export interface RoundsOptions {
  readonly random?: (() => number) | undefined;
  readonly pauseMs?: Pause | undefined;
  /** True while news is expected any moment: the next round comes soon. */
  readonly hurries?: () => boolean;
  /** Resolves when somebody waits for a round: it comes at once. */
  readonly woken?: () => Promise<void>;
}

/** Calls `round` again and again until `signal` is aborted; rejects only as `round` does. */
export async function inRounds(
  round: () => Promise<void>,
  { random = Math.random, pauseMs = defaultPause, hurries = () => false, woken = never }: RoundsOptions,
  signal: AbortSignal,
): Promise<void> {
  let goesOn = !signal.aborted;
  while (goesOn) {
    await round();
    const { least, most } = hurries() ? hurried(pauseMs) : pauseMs;
    goesOn = await pauseUntil(woken(), least + random() * (most - least), signal);
  }
}

function never(): Promise<void> {
  return new Promise(() => undefined);
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
