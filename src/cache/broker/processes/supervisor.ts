/**
 * Keeps the broker's processes running, one for each socket of the configuration. It accepts nginx's connections and hands them to the
 * worker, so that those that come while a worker is started anew wait for it (docs/adr/0016-broker-processes.md). Small on purpose: it reads no
 * mirror and talks to no upstream. Used by `src/cli/broker.ts`.
 */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import type { Server, Socket } from 'node:net';
import type { Logger } from '../../../observe/log.ts';
import { pause } from '../../pause.ts';
import { acceptOn } from '../socket.ts';
import { HandedOver } from './handed-over.ts';
import type { WorkerMessage } from './messages.ts';

export interface SupervisorOptions {
  /** The sockets that are wanted now; looked at again and again. */
  readonly sockets: () => Promise<readonly string[]>;
  /** Starts worker `index` with a channel to it. */
  readonly start: (index: number) => ChildProcess;
  readonly log: Logger;
  readonly followMs?: number;
}

/** A worker that lived this long is started again at once; another one after a growing pause. Milliseconds. */
const healthyMs = 10_000;
const firstPauseMs = 100;
const longestPauseMs = 5_000;

/**
 * Runs until `signal` aborts, then until the workers have ended. Rejects when a socket cannot be listened on, and when a worker ends
 * before it was ever ready, which is a fault of the configuration that the worker has told.
 */
export async function superviseBroker(options: SupervisorOptions, signal: AbortSignal): Promise<void> {
  const failed = new AbortController();
  const over = AbortSignal.any([signal, failed.signal]);
  const running = new Map<string, { readonly stop: AbortController; readonly done: Promise<void> }>();
  try {
    do {
      const wanted = await options.sockets();
      for (const [index, path] of wanted.entries())
        if (!running.has(path)) running.set(path, open(index, path));
      for (const [path, { stop }] of running) if (!wanted.includes(path)) stop.abort();
    } while (await pause(options.followMs ?? 2_000, over));
  } finally {
    await Promise.allSettled([...running.values()].map(({ done }) => done));
  }
  if (failed.signal.aborted) throw failed.signal.reason;

  function open(index: number, path: string) {
    const stop = new AbortController();
    const done = new Worker(index, path, options)
      .run(AbortSignal.any([over, stop.signal]))
      .catch((error: unknown) => failed.abort(error))
      .finally(() => running.delete(path));
    return { stop, done };
  }
}

class Worker {
  readonly #index: number;
  readonly #path: string;
  readonly #options: SupervisorOptions;
  readonly #handedOver = new HandedOver();
  /** Accepted while there was no worker to take them. */
  readonly #waiting: Socket[] = [];
  #child: ChildProcess | undefined;
  #wasReady = false;

  constructor(index: number, path: string, options: SupervisorOptions) {
    this.#index = index;
    this.#path = path;
    this.#options = options;
  }

  async run(signal: AbortSignal): Promise<void> {
    const server = await acceptOn(this.#path, (socket) => this.#accept(socket));
    try {
      for (let pauseMs = 0; !signal.aborted; ) {
        const startedAt = performance.now();
        const code = await this.#runOnce(signal, server);
        if (signal.aborted) return;
        // One that was killed while it started has no fault.
        if (!this.#wasReady && code !== null) throw new Error(`Broker process ${this.#index} did not start`);
        const wasHealthy = performance.now() - startedAt > healthyMs;
        this.#options.log.error(
          { process: this.#index, pauseMs },
          'Broker process ended; it is started again',
        );
        await pause(wasHealthy ? 0 : pauseMs, signal);
        pauseMs = wasHealthy ? 0 : Math.min(longestPauseMs, Math.max(firstPauseMs, pauseMs * 2));
      }
    } finally {
      server.close();
      for (const socket of this.#waiting) socket.destroy();
    }
  }

  #accept(socket: Socket): void {
    if (this.#child === undefined) this.#waiting.push(socket);
    else this.#handedOver.give(socket, this.#child);
  }

  /** Returns its exit code when the worker has ended, null when it was killed. */
  async #runOnce(signal: AbortSignal, server: Server): Promise<number | null> {
    const child = this.#options.start(this.#index);
    const ended = once(child, 'exit') as Promise<[number | null]>;
    // Who comes from now on waits for the next one.
    child.once('exit', () => {
      this.#child = undefined;
    });
    child.on('message', (message: WorkerMessage) => this.#hear(child, message));
    const stop = () => {
      server.close();
      child.kill('SIGTERM');
    };
    signal.addEventListener('abort', stop, { once: true });
    if (signal.aborted) stop();
    const [code] = await ended.finally(() => signal.removeEventListener('abort', stop));
    this.#handedOver.breakOff();
    return code;
  }

  #hear(child: ChildProcess, message: WorkerMessage): void {
    if ('taken' in message) {
      this.#handedOver.taken(message.taken);
      return;
    }
    this.#wasReady = true;
    if (hasEnded(child)) return;
    this.#child = child;
    for (const socket of this.#waiting.splice(0)) this.#handedOver.give(socket, child);
  }
}

function hasEnded({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode !== null || signalCode !== null;
}
