/**
 * A place in the cluster's world: namespaces of its own (network, mounts, processes, host name) and what runs in them. It outlives
 * the process that made it and is known by its folder alone: whoever has that can enter it, run more in it, and end it whole.
 */
import { type ExecFileOptions, execFile, spawn } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { eventually } from '../support/eventually.ts';
import { childrenOf } from '../support/processes.ts';
import { isThere, readRecord, recordItself } from './process-record.ts';

/** A shell script for the first process of a place; its arguments are `$1` and so on. */
export interface Preparation {
  readonly script: string;
  readonly args?: readonly string[];
}

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string;
  /** Milliseconds; a minute. */
  readonly timeout?: number;
}

/** How a daemon is started: `env` is its whole environment but for `PATH` and `HOME`. */
export interface DaemonCommand {
  readonly command: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

const ownNamespaces = ['--net', '--mount', '--pid', '--uts', '--ipc'];

export class Place {
  readonly name: string;
  readonly folder: string;
  readonly #path: string;
  /** Exists as soon as the cluster is to end: nobody makes anything any more. */
  readonly #endingFile: string;

  /** `folder` is that of the place alone; `path` is where its programs are found. */
  constructor(name: string, options: { folder: string; path: string; endingFile: string }) {
    this.name = name;
    this.folder = options.folder;
    this.#path = options.path;
    this.#endingFile = options.endingFile;
  }

  /** Makes the namespaces and returns when `prepare` has run to its end in them; throws with what it said when it failed. */
  async start(prepare: Preparation): Promise<void> {
    if (await this.isThere()) throw new Error(`${this.name} is there already`);
    for (const folder of ['daemons', 'logs']) mkdirSync(join(this.folder, folder), { recursive: true });
    const readyFile = join(this.folder, 'ready');
    rmSync(readyFile, { force: true });
    const [log, record, ready] = [
      openSync(this.logFile('place'), 'a'),
      openSync(this.#holderFile, 'w'),
      openSync(readyFile, 'w'),
    ];
    const own = [...ownNamespaces, '--fork', '--kill-child', '--mount-proc'];
    const first = ['sh', '-ec', firstProcess(prepare.script), 'init', ...(prepare.args ?? [])];
    const command = ['-ec', holder, 'holder', this.#endingFile, 'unshare', ...own, '--', ...first];
    const child = spawn('sh', command, {
      detached: true,
      stdio: ['ignore', log, log, record, ready],
      env: this.#environment(),
    });
    child.unref();
    for (const file of [log, record, ready]) closeSync(file);
    await eventually(
      () => {
        if (readFileSync(readyFile, 'utf8') !== '') return 'ready';
        if (child.exitCode !== null) return 'ended';
        throw new Error(this.log('place').slice(-2000));
      },
      { timeout: 30_000, message: `${this.name} was not made` },
    ).then((state) => {
      if (state === 'ended') throw new Error(`${this.name} was not made: ${this.log('place').slice(-2000)}`);
    });
  }

  /** The process id, on the machine, of its first process; undefined while it is not there. */
  async init(): Promise<number | undefined> {
    const record = readRecord(this.#holderFile);
    if (record === undefined || !isThere(record)) return undefined;
    return (await childrenOf(record.pid))[0];
  }

  async isThere(): Promise<boolean> {
    return (await this.init()) !== undefined;
  }

  /** The command by which a person or a program enters it. */
  async enterCommand(): Promise<string[]> {
    const init = await this.init();
    if (init === undefined) throw new Error(`${this.name} is not there`);
    return ['nsenter', '--target', String(init), ...ownNamespaces];
  }

  /** Runs a command to its end and returns its standard output; rejects, with what it says, when it fails. */
  async run(command: readonly string[], options: RunOptions = {}): Promise<string> {
    const [program = '', ...enter] = await this.enterCommand();
    const args = [...enter, '--', 'setpriv', '--pdeathsig', 'KILL', '--', ...command];
    const { timeout = 60_000, env, input } = options;
    return await execute(program, args, { env: this.#environment(env), timeout }, input);
  }

  /** Starts a daemon of the place's first process, unless it runs; what it says is appended to `logFile`. */
  async startDaemon(name: string, { command, env }: DaemonCommand): Promise<void> {
    if (await this.isRunning(name)) throw new Error(`${name} runs already on ${this.name}`);
    const [program = '', ...enter] = await this.enterCommand();
    const [log, record] = [openSync(this.logFile(name), 'a'), openSync(this.#daemonFile(name), 'w')];
    const script = `setsid sh -ec '${recordItself}; exec "$@"' "$0" "$@" &`;
    const child = spawn(program, [...enter, '--', 'sh', '-ec', script, name, ...command], {
      stdio: ['ignore', log, log, record],
      env: this.#environment(env),
    });
    closeSync(log);
    closeSync(record);
    await new Promise((resolve, reject) => child.on('error', reject).on('close', resolve));
    await eventually(
      () => {
        if (readRecord(this.#daemonFile(name)) === undefined)
          throw new Error(this.log(name, 2000) || this.log('place', 2000));
      },
      { message: `${name} was not started on ${this.name}` },
    );
  }

  /** Sends a signal to a daemon; nothing happens when it does not run. Returns at once. */
  async signal(name: string, signal: NodeJS.Signals): Promise<void> {
    const record = readRecord(this.#daemonFile(name));
    if (record === undefined || !(await this.isThere())) return;
    // Between the look and the signal no other process can have got its id: those are given in turn.
    await this.run([
      'sh',
      '-c',
      `${isSame} && kill -s "$3" "$1" || true`,
      'sh',
      ...same(record),
      signal.slice(3),
    ]);
  }

  /** Sends the signal (SIGTERM) and waits for the end; SIGKILL after `graceMs`. */
  async endDaemon(name: string, signal: NodeJS.Signals = 'SIGTERM', graceMs = 10_000): Promise<void> {
    await this.signal(name, signal);
    const deadline = Date.now() + graceMs;
    while (await this.isRunning(name)) {
      if (Date.now() > deadline) await this.signal(name, 'SIGKILL');
      await delay(50);
    }
    rmSync(this.#daemonFile(name), { force: true });
  }

  async isRunning(name: string): Promise<boolean> {
    const record = readRecord(this.#daemonFile(name));
    if (record === undefined || !(await this.isThere())) return false;
    return (await this.run(['sh', '-c', `${isSame} && echo yes || true`, 'sh', ...same(record)])) !== '';
  }

  /** Kills every process in it, as a loss of power does; its mounts, its network and its links go with the last of them. */
  async end(): Promise<void> {
    const record = readRecord(this.#holderFile);
    if (record === undefined || !isThere(record)) return;
    const init = await this.init();
    process.kill(init ?? record.pid, 'SIGKILL');
    // Its parent ends when the kernel has ended all that was inside.
    await eventually(
      () => {
        if (isThere(record)) throw new Error(`Process ${record.pid} is still there`);
      },
      { timeout: 30_000, message: `${this.name} did not end` },
    );
    rmSync(this.#holderFile, { force: true });
  }

  logFile(name: string): string {
    return join(this.folder, 'logs', `${name}.log`);
  }

  /** What a daemon has said, or its last `characters`. */
  log(name: string, characters = Number.MAX_SAFE_INTEGER): string {
    const file = this.logFile(name);
    return existsSync(file) ? readFileSync(file, 'utf8').slice(-characters) : '';
  }

  get #holderFile(): string {
    return join(this.folder, 'holder');
  }

  #daemonFile(name: string): string {
    return join(this.folder, 'daemons', name);
  }

  #environment(more: Readonly<Record<string, string>> = {}): NodeJS.ProcessEnv {
    return { PATH: this.#path, HOME: '/root', LC_ALL: 'C.UTF-8', ...more };
  }
}

/** Outside of the namespaces. Looks for the end of the cluster only when it can be found itself: who ends it looks the other way round. */
const holder = `${recordItself}; [ ! -e "$1" ] || exit 1; shift; exec "$@"`;

/** Process 1 of its namespace; a shell that waits takes in whatever is orphaned. */
function firstProcess(script: string): string {
  return `${script}\necho ready >&4\nexec 4>&-\nwhile :; do sleep 86400; done`;
}

// `$1` and `$2`: the id and the start; a process that has ended but was not waited for does not count.
const isSame =
  'read -r _ _ state rest < /proc/$1/stat && [ "$state" != Z ] && [ "$(cut -d " " -f 22 /proc/$1/stat)" = "$2" ]';

function same({ pid, start }: { pid: number; start: string }): string[] {
  return [String(pid), start];
}

function execute(program: string, args: string[], options: ExecFileOptions, input = ''): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const limits = { maxBuffer: 64 * 1024 * 1024, killSignal: 'SIGKILL' as const, encoding: 'utf8' as const };
  const child = execFile(program, args, { ...options, ...limits }, (error, stdout, stderr) => {
    if (error) reject(new Error(`${error.message}\n${stderr}${stdout}`.slice(0, 4000), { cause: error }));
    else resolve(stdout);
  });
  child.stdin?.on('error', () => undefined).end(input);
  return promise;
}
