/** `warm` over all replicas of a mirror at once: each reads every image, and what one of them fetches the others take from it. */
import { setTimeout as delay } from 'node:timers/promises';
import { platformName } from '../cache/warm/platform.ts';
import { parseWarmEvent, type WarmEvent } from '../cache/warm/warm-event.ts';
import { backoffMs } from '../kube/backoff.ts';
import { isUnavailable } from '../kube/errors.ts';
import { errorMessage } from '../observe/error-message.ts';
import { findReplicas, type MirrorReplicas } from './mirror-replicas.ts';
import { outputLines } from './output-lines.ts';
import { createDisplay } from './warm-display.ts';
import { imageToWarm, type WarmFlags } from './warm-order.ts';

/**
 * A connection to a pod that is lost is opened again: what was read is cached, so that it goes on where it was. An API server that is replaced is away
 * for a while; so many times in a row nothing may come of it, half a minute at least.
 */
const attempts = 8;
const pauses = { baseMs: 500, maxMs: 30_000 };

/** Shows what happens; false when an image is not complete in every replica. */
export async function warmReplicas(
  mirror: string,
  images: readonly string[],
  flags: WarmFlags,
  signal: AbortSignal,
): Promise<boolean> {
  const replicas = await findReplicas(mirror, flags, signal);
  const display = flags.json ? jsonDisplay : createDisplay(process.stdout);
  try {
    // A mistake is told once, not by every replica.
    for (const image of images) imageToWarm(image, replicas.names);
    for (const { pod, why } of replicas.others) display.note(pod, `not warmed: ${why}`);
    const args = commandOf(mirror, images, flags);
    const warmed = replicas.running.map((pod) =>
      warmOne({
        replicas,
        pod,
        args,
        signal,
        show: (event) => display.show(pod, event),
        note: (text) => display.note(pod, text),
      }),
    );
    const complete = await Promise.all(warmed);
    return complete.every(Boolean) && replicas.others.length === 0;
  } finally {
    display.end();
    await replicas.close();
  }
}

/** What the outside was told, in full: a pod knows nothing of our defaults. */
function commandOf(mirror: string, images: readonly string[], flags: WarmFlags): string[] {
  const platforms = (flags.platform ?? []).flatMap((platform) => ['--platform', platformName(platform)]);
  const all = flags.allPlatforms ? ['--all-platforms'] : [];
  const how = ['--local', '--json', '--until-stdin-ends', '--parallel', String(flags.parallel)];
  return ['warm', ...how, ...all, ...platforms, '--', mirror, ...images];
}

interface ReplicaRun {
  readonly replicas: MirrorReplicas;
  readonly pod: string;
  readonly args: readonly string[];
  readonly signal: AbortSignal;
  readonly show: (event: WarmEvent) => void;
  readonly note: (text: string) => void;
}

async function warmOne(run: ReplicaRun): Promise<boolean> {
  const furthest = new Map<string, number>();
  let failures = 0;
  const show = (event: WarmEvent) => {
    if (advances(event, furthest)) failures = 0;
    run.show(event);
  };
  for (;;) {
    try {
      return await attemptOne({ ...run, show });
    } catch (error) {
      run.signal.throwIfAborted();
      run.note(errorMessage(error));
      failures += 1;
      if (!isUnavailable(error) || failures === attempts) return false;
      await delay(backoffMs(failures, pauses), undefined, { signal: run.signal });
    }
  }
}

/** Whether more of an image is verified than ever before: each attempt begins with what is cached. Notes it in `furthest`. */
function advances(event: WarmEvent, furthest: Map<string, number>): boolean {
  if (event.event !== 'progress' && event.event !== 'done') return false;
  const bytes = event.event === 'done' ? Number.POSITIVE_INFINITY : event.bytes;
  if (bytes <= (furthest.get(event.image) ?? 0)) return false;
  furthest.set(event.image, bytes);
  return true;
}

async function attemptOne({ replicas, pod, args, signal, show, note }: ReplicaRun): Promise<boolean> {
  const process = await replicas.exec(pod, args, signal);
  let told = false;
  for await (const line of outputLines(process.stdout)) {
    const event = parseWarmEvent(line);
    if (event?.event === 'failed') told = true;
    if (event !== undefined) show(event);
  }
  const code = await process.exitCode;
  if (code !== 0 && !told) note(process.stderr().trim() || `exit code ${code}`);
  return code === 0;
}

const jsonDisplay = {
  show: (pod: string, event: WarmEvent) => writeLine({ pod, ...event }),
  note: (pod: string, message: string) => writeLine({ pod, event: 'note', message }),
  end: () => undefined,
};

function writeLine(value: object): void {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}
