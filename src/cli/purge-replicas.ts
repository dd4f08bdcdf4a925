/** `purge` over all replicas of a mirror. */
import * as z from 'zod';
import type { PurgeResult } from '../cache/purge-request.ts';
import { errorMessage } from '../observe/error-message.ts';
import type { MirrorFlags } from './mirror-flags.ts';
import { parseMirrorImage } from './mirror-image.ts';
import { findReplicas, type MirrorReplicas } from './mirror-replicas.ts';
import { outputLines } from './output-lines.ts';
import { plainText } from './plain-text.ts';
import { removedText } from './removed-text.ts';

/**
 * Twice over all replicas, each round at once (docs/adr/0015): in the first one a replica may have been purged before the owner of
 * an object, and have taken the old copy from it again. After the first round every owner is clean.
 */
const rounds = 2;

type Outcome = PurgeResult | { readonly error: string };

/** Prints a line for each replica and a summary; false when a replica may still have what was to be removed. */
export async function purgeReplicas(
  mirror: string,
  image: string,
  flags: MirrorFlags,
  signal: AbortSignal,
): Promise<boolean> {
  const replicas = await findReplicas(mirror, flags, signal);
  try {
    // A mistake is told once, not by every replica.
    parseMirrorImage(image, replicas.names);
    const outcomes = new Map<string, Outcome>(replicas.running.map((pod) => [pod, { removed: 0, bytes: 0 }]));
    for (let round = 0; round < rounds; round++) {
      const asked = replicas.running.map(async (pod) => {
        outcomes.set(pod, add(outcomes.get(pod), await purgeOne(replicas, pod, [mirror, image], signal)));
      });
      await Promise.all(asked);
    }
    for (const { pod, why } of replicas.others) outcomes.set(pod, { error: `not purged: ${why}` });
    return report(mirror, outcomes, flags);
  } finally {
    await replicas.close();
  }
}

async function purgeOne(
  replicas: MirrorReplicas,
  pod: string,
  args: readonly string[],
  signal: AbortSignal,
): Promise<Outcome> {
  try {
    const command = ['purge', '--local', '--json', '--until-stdin-ends', '--', ...args];
    const process = await replicas.exec(pod, command, signal);
    const lines: string[] = [];
    for await (const line of outputLines(process.stdout)) lines.push(line);
    const code = await process.exitCode;
    if (code !== 0) return { error: process.stderr().trim() || `exit code ${code}` };
    return parseResult(lines.at(-1) ?? '');
  } catch (error) {
    signal.throwIfAborted();
    return { error: errorMessage(error) };
  }
}

const result = z.object({ removed: z.int().min(0), bytes: z.int().min(0) });

function parseResult(line: string): Outcome {
  try {
    return result.parse(JSON.parse(line));
  } catch {
    return { error: `expected the result of a purge, got ${JSON.stringify(line.slice(0, 100))}` };
  }
}

/** A replica that failed in one round may have the old copy. */
function add(before: Outcome | undefined, now: Outcome): Outcome {
  if (before === undefined || 'error' in now) return now;
  if ('error' in before) return before;
  return { removed: before.removed + now.removed, bytes: before.bytes + now.bytes };
}

function report(mirror: string, outcomes: ReadonlyMap<string, Outcome>, { json }: MirrorFlags): boolean {
  const all = { removed: 0, bytes: 0 };
  let failed = 0;
  for (const [pod, outcome] of outcomes) {
    if ('error' in outcome) failed++;
    else {
      all.removed += outcome.removed;
      all.bytes += outcome.bytes;
    }
    print(
      json
        ? JSON.stringify({ pod, ...outcome })
        : `${pod}: ${'error' in outcome ? plainText(outcome.error) : removedText(outcome)}`,
    );
  }
  const done = outcomes.size - failed;
  const replicas = (count: number) => `${count} ${count === 1 ? 'replica' : 'replicas'}`;
  const rest = failed === 0 ? '' : `; ${replicas(failed)} may still have it: purge again`;
  if (!json) print(`${mirror}: ${removedText(all)} on ${replicas(done)}${rest}`);
  return failed === 0;
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
