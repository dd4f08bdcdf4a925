/** One server of the control plane as a process that can be ended and started again. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, openSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import type { Guardian } from './guardian.ts';

/** What is run: the program's path, its arguments and the file both its outputs are appended to. */
export interface ServerCommand {
  program: string;
  flags: string[];
  logFile: string;
}

/** Milliseconds a server has to end after SIGTERM before it is killed. */
const gracePeriod = 20_000;
/** Small heaps are collected all the time while they grow: a third of a start's processor time, for 120 MB. */
const environment = { GOGC: '400' };

/** A server that leads its own process group, so that a Ctrl-C meant for the test runner does not reach it. */
export class ServerProcess {
  readonly #command: ServerCommand;
  readonly #guardian: Guardian;
  #child: ChildProcess | undefined;
  #exited: Promise<unknown> = Promise.resolve();

  constructor(command: ServerCommand, guardian: Guardian) {
    this.#command = command;
    this.#guardian = guardian;
  }

  /** The process id, or undefined while it does not run. */
  get pid(): number | undefined {
    const child = this.#child;
    return child && child.exitCode === null && child.signalCode === null ? child.pid : undefined;
  }

  /** Starts the server with an environment of its own: etcd reads ETCD_*, and nothing is wanted from ours. */
  start(): void {
    if (this.pid !== undefined) throw new Error(`${this.#name} runs already`);
    const log = openSync(this.#command.logFile, 'a');
    const child = spawn(this.#command.program, this.#command.flags, {
      detached: true,
      stdio: ['ignore', log, log],
      env: environment,
    });
    closeSync(log);
    child.unref();
    this.#child = child;
    this.#exited = once(child, 'exit').catch(() => undefined);
    this.#guard(child);
  }

  /** Sends the signal and waits for the end; nothing happens when it does not run. */
  async end(signal: NodeJS.Signals): Promise<void> {
    if (this.pid === undefined || this.#child === undefined) return;
    this.#child.ref();
    this.#child.kill(signal);
    const killer = setTimeout(() => this.#child?.kill('SIGKILL'), gracePeriod);
    await this.#exited;
    clearTimeout(killer);
  }

  /** Throws with the end of the log when the server has ended by itself. */
  assertRunning(): void {
    if (this.pid === undefined) throw new Error(`${this.#name} has ended: ${this.log().slice(-3000)}`);
  }

  /** Everything it has written since the first start; nothing before that. */
  log(): string {
    return existsSync(this.#command.logFile) ? readFileSync(this.#command.logFile, 'utf8') : '';
  }

  get #name(): string {
    return basename(this.#command.program);
  }

  #guard(child: ChildProcess): void {
    const pid = child.pid;
    if (pid === undefined) return;
    this.#guardian.watch(pid);
    child.once('exit', () => this.#guardian.forget(pid));
  }
}
