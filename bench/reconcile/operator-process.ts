/** The operator under measurement as a process that is started and ended. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import type { Guardian } from '../../test/kubernetes/guardian.ts';

export interface OperatorCommand {
  executable: string;
  environment: Record<string, string>;
  /** What it writes is appended to this file. */
  logFile: string;
}

/** Milliseconds an operator has to end after SIGTERM before it is killed and the run fails. */
const gracePeriod = 20_000;

/** One start of the operator. It leads its own process group, so that a Ctrl-C reaches it only through us. */
export class OperatorProcess {
  readonly #child: ChildProcess;
  readonly #exited: Promise<unknown>;
  readonly #logFile: string;

  /** `guardian` ends the process when ours dies without having ended it. */
  constructor(command: OperatorCommand, guardian: Guardian) {
    const log = openSync(command.logFile, 'a');
    const child = spawn(command.executable, [], {
      detached: true,
      stdio: ['ignore', log, log],
      env: command.environment,
    });
    closeSync(log);
    this.#child = child;
    this.#logFile = command.logFile;
    this.#exited = once(child, 'exit').catch(() => undefined);
    const pid = this.pid;
    guardian.watch(pid);
    child.once('exit', () => guardian.forget(pid));
  }

  get pid(): number {
    if (this.#child.pid === undefined) throw new Error(`${this.#child.spawnfile} could not be started`);
    return this.#child.pid;
  }

  /** Throws when it has ended by itself. */
  assertRunning(): void {
    const { exitCode, signalCode } = this.#child;
    if (exitCode === null && signalCode === null) return;
    throw new Error(`The operator ended with ${exitCode ?? signalCode}`);
  }

  /** Sends SIGTERM and waits for the end; throws if it had to be killed, for then it gave nothing back. */
  async end(): Promise<void> {
    this.assertRunning();
    this.#child.kill('SIGTERM');
    const killer = setTimeout(() => this.#child.kill('SIGKILL'), gracePeriod);
    await this.#exited;
    clearTimeout(killer);
    if (this.#child.signalCode === 'SIGKILL')
      throw new Error(`The operator did not end within ${gracePeriod / 1000} s of SIGTERM`);
  }

  /** Ends it at once, whatever it does; nothing happens when it has ended. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#exited;
  }

  /** The end of what it wrote; for the error of a run that failed. */
  async lastWords(): Promise<string> {
    return (await readFile(this.#logFile, 'utf8')).slice(-3000);
  }
}

/** The script a Node process runs, as it was named: tells sources from a `dist` that may be old. */
export async function scriptOf(pid: number): Promise<string> {
  const [program = '', script = ''] = (await readFile(`/proc/${pid}/cmdline`, 'utf8')).split('\0');
  return script === '' ? program : script;
}
