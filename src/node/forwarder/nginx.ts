/** The forwarder's nginx: a child that is kept running on the configuration last taken. */
import type { ChildProcess } from 'node:child_process';
import { readdirSync, rmSync } from 'node:fs';
import { rename, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join, parse } from 'node:path';
import { text } from 'node:stream/consumers';
import { keepRunning } from '../../cache/child.ts';
import { readPid, startNginx, testNginx } from '../../cache/nginx-process.ts';
import { pause } from '../../cache/pause.ts';
import type { Logger } from '../../observe/log.ts';
import type { ForwarderConf, ForwarderPaths } from './config.ts';

export interface NginxOptions {
  readonly paths: ForwarderPaths;
  readonly log: Logger;
  /** Milliseconds that connections have to end in when the forwarder ends. */
  readonly drainMs: number;
  readonly onExit: () => void;
}

/** How long a start or a reload may take until it is looked at again. */
const takeWithinMs = 5000;
const askAgainMs = 20;
const settleMs = 1000;

export class ForwarderNginx {
  readonly #options: NginxOptions;
  readonly #stop = new AbortController();
  #child: ChildProcess | undefined;
  #running: Promise<void> | undefined;
  #written: ForwarderConf | undefined;
  #inForce: string | undefined;

  constructor(options: NginxOptions) {
    this.#options = options;
  }

  /** The generation that nginx was last seen to run; undefined while it does not run. */
  get inForce(): string | undefined {
    return this.#inForce;
  }

  get isStarted(): boolean {
    return this.#running !== undefined;
  }

  /** Resolves when it is known what runs: one that was started again has a moment to tell. */
  async settle(signal: AbortSignal): Promise<void> {
    if (this.#inForce !== undefined || this.#written === undefined) return;
    await this.#becomes(this.#written.generation, settleMs, signal);
  }

  /** Resolves when nginx would take `conf`, rejects with what it says otherwise. */
  async test({ text }: ForwarderConf): Promise<void> {
    const trial = `${this.#options.paths.confFile}.trial`;
    await writeFile(trial, text, { mode: 0o600 });
    await testNginx(trial);
  }

  /**
   * Makes `conf` the configuration nginx runs on and starts nginx where it has not been. True once it is in force; false when that took
   * too long, to be called again. Rejects, and changes nothing, when nginx refuses it.
   */
  async take(conf: ForwarderConf, signal: AbortSignal): Promise<boolean> {
    const isWritten = this.#written?.generation === conf.generation;
    if (isWritten && this.#inForce === conf.generation) return true;
    if (!isWritten) {
      await this.test(conf);
      await rename(`${this.#options.paths.confFile}.trial`, this.#options.paths.confFile);
      this.#written = conf;
    }
    if (this.#running === undefined) this.#running = keepRunning(this.#plan(), this.#stop.signal);
    else await this.#hangUp(conf);
    return this.#becomes(conf.generation, takeWithinMs, signal);
  }

  /** Closes the ports at once, and waits for connections to end. */
  async end(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async #hangUp({ generation }: ForwarderConf): Promise<void> {
    // One without a file with its id is still to read the configuration, and would die of the signal.
    const pid = await readPid(this.#options.paths.pidFile);
    if (pid === undefined || pid !== this.#child?.pid) return;
    if ((await this.#ask()) !== generation) this.#child.kill('SIGHUP');
  }

  async #becomes(generation: string, withinMs: number, signal: AbortSignal): Promise<boolean> {
    const deadline = performance.now() + withinMs;
    while (this.#child !== undefined && performance.now() < deadline) {
      if ((await this.#ask()) === generation && this.#child !== undefined) {
        this.#inForce = generation;
        return true;
      }
      if (!(await pause(askAgainMs, signal))) return false;
    }
    return false;
  }

  /** The generation one of nginx's workers tells; undefined when none does. */
  async #ask(): Promise<string | undefined> {
    const socket = connect({ path: this.#options.paths.generationSocket, timeout: 1000 });
    socket.on('timeout', () => socket.destroy(new Error('timed out')));
    return text(socket).catch(() => undefined);
  }

  #plan() {
    const { paths, log, drainMs, onExit } = this.#options;
    const start = () => {
      const { dir, base } = parse(paths.askingSockets);
      for (const name of readdirSync(dir)) if (name.startsWith(base)) rmSync(join(dir, name));
      const child = startNginx(paths.confFile, paths.generationSocket);
      const ended = () => {
        this.#child = undefined;
        this.#inForce = undefined;
        onExit();
      };
      this.#child = child;
      child.once('exit', ended);
      child.once('error', ended);
      return child;
    };
    const stop = [
      { signal: 'SIGQUIT', waitMs: drainMs },
      { signal: 'SIGTERM', waitMs: 500 },
    ] as const;
    return { name: 'forwarder', start, stop, log };
  }
}
