/** Keeps a child process running until told to stop, and leaves none of its group behind. */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { errorMessage } from '../observe/error-message.ts';
import type { Logger } from '../observe/log.ts';

/** How a child is started and stopped; `start` makes it leader of a process group. */
export interface ChildPlan {
  readonly name: string;
  readonly start: () => ChildProcess;
  /** Sent in turn, each with the time it has to work; then the whole group is killed. */
  readonly stop: readonly { readonly signal: NodeJS.Signals; readonly waitMs: number }[];
  readonly log: Logger;
}

const firstPauseMs = 250;
const longestPauseMs = 10_000;
/** A child that lived this long had no fault of its start. */
const healthyMs = 10_000;

/** Starts the child again whenever it ends, after a growing pause; resolves when it was stopped because `signal` aborted. */
export async function keepRunning(plan: ChildPlan, signal: AbortSignal): Promise<void> {
  let pauseMs = firstPauseMs;
  while (!signal.aborted) {
    const startedAt = Date.now();
    const how = await runOnce(plan, signal);
    if (signal.aborted) return;
    pauseMs = Date.now() - startedAt > healthyMs ? firstPauseMs : Math.min(pauseMs * 2, longestPauseMs);
    plan.log.error({ child: plan.name, how, pauseMs }, 'Child ended; it is started again');
    await delay(pauseMs, undefined, { signal }).catch(() => undefined);
  }
}

async function runOnce(plan: ChildPlan, signal: AbortSignal): Promise<string> {
  const child = started(plan);
  if (typeof child === 'string') return child;
  const ended = endOf(child);
  const stopped = Promise.withResolvers<void>();
  const onAbort = () => stopped.resolve();
  signal.addEventListener('abort', onAbort);
  if (!signal.aborted) await Promise.race([ended, stopped.promise]);
  signal.removeEventListener('abort', onAbort);
  if (signal.aborted) await stop(child, plan, ended);
  // Workers of a killed nginx go on serving and hold the port.
  killGroup(child);
  return ended;
}

/** Without memory for a fork, or on a disk that became read-only, not even the attempt is made. */
function started(plan: ChildPlan): ChildProcess | string {
  try {
    return plan.start();
  } catch (error) {
    return notStarted(error);
  }
}

function notStarted(error: unknown): string {
  return `could not be started: ${errorMessage(error)}`;
}

async function endOf(child: ChildProcess): Promise<string> {
  try {
    const [code, signal] = (await once(child, 'exit')) as [number | null, string | null];
    return signal ?? `exit code ${code}`;
  } catch (error) {
    return notStarted(error);
  }
}

async function stop(child: ChildProcess, plan: ChildPlan, ended: Promise<string>): Promise<void> {
  for (const { signal, waitMs } of plan.stop) {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill(signal);
    if (await endsWithin(ended, waitMs)) return;
  }
  plan.log.warn({ child: plan.name }, 'Child did not end in time and was killed');
}

async function endsWithin(ended: Promise<string>, ms: number): Promise<boolean> {
  const timer = new AbortController();
  const late = delay(ms, false, { signal: timer.signal }).catch(() => false);
  const result = await Promise.race([ended.then(() => true), late]);
  timer.abort();
  return result;
}

function killGroup({ pid }: ChildProcess): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
