/**
 * The namespaces of a node: a network without a way out, processes that see each other alone, and an /etc, /run, /var/lib and /root of its own. When the
 * test ends, however it does, every process in them ends with it.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  appendFileSync,
  closeSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { ExecutionContext } from 'ava';
import { eventually } from '../eventually.ts';
import { childrenOf } from '../processes.ts';
import { programEnvironment } from '../program-environment.ts';

const run = promisify(execFile);

/** The node's own folders, and what each is below `Namespaces.folder`. */
const ownFolders = { '/etc': 'etc', '/run': 'run', '/var/lib': 'lib', '/root': 'root' } as const;

export interface Namespaces {
  /** Of the whole world; outside and inside it has the same path. */
  readonly folder: string;
  /** The node's root as its agents' pods have it mounted. */
  readonly hostRoot: string;
  /** Where a path of the node's own folders lies for the test. */
  readonly path: (nodePath: string) => string;
  /** Runs a command to its end; rejects, with what it says, when it fails. */
  readonly run: (command: readonly string[], options?: InsideOptions) => Promise<string>;
  /** Starts a program; what it says goes to a file of its name. */
  readonly start: (name: string, command: readonly string[], options?: InsideOptions) => Promise<Inside>;
}

export interface InsideOptions {
  readonly env?: NodeJS.ProcessEnv;
  /** Shell commands in a mount namespace of the program's own, before it is started. */
  readonly prepare?: string;
  /** Milliseconds; a minute. */
  readonly timeout?: number;
}

/** A program in the namespaces. */
export interface Inside {
  /** As the test sees it, outside. */
  readonly pid: number;
  /** What it has said so far. */
  readonly output: () => string;
  readonly signal: (name: NodeJS.Signals) => void;
  readonly isRunning: () => boolean;
  /** Resolves with the exit code, or the signal's name. */
  readonly ended: Promise<number | string>;
  /** Sends the signal (SIGKILL) and waits for the end. */
  readonly stop: (name?: NodeJS.Signals) => Promise<number | string>;
}

/** Makes them with `addresses` on `lo`. */
export async function makeNamespaces(
  t: Pick<ExecutionContext, 'teardown'>,
  addresses: readonly string[],
): Promise<Namespaces> {
  const folder = mkdtempSync(join(tmpdir(), 'nw-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  for (const name of Object.values(ownFolders)) mkdirSync(join(folder, name));
  for (const name of ['host', 'tmp', 'run/lock']) mkdirSync(join(folder, name));
  cpSync('/etc', join(folder, 'etc'), { recursive: true, verbatimSymlinks: true });
  const init = await startInit(t, folder, addresses);
  const enter = ['--target', String(init), '--net', '--mount', '--pid', '--'];
  const commandOf = (command: readonly string[], { prepare }: InsideOptions) =>
    prepare === undefined
      ? command
      : ['unshare', '--mount', 'sh', '-ec', `${prepare}; exec "$@"`, 'sh', ...command];
  const envOf = ({ env }: InsideOptions) => ({
    ...programEnvironment,
    HOME: '/root',
    TMPDIR: join(folder, 'tmp'),
    ...env,
  });
  return {
    folder,
    hostRoot: join(folder, 'host'),
    path: (nodePath) => pathOf(folder, nodePath),
    run: async (command, options = {}) => {
      const args = [...enter, 'setpriv', '--pdeathsig', 'KILL', '--', ...commandOf(command, options)];
      const { timeout = 60_000 } = options;
      return (await run('nsenter', args, { env: envOf(options), timeout, killSignal: 'SIGKILL' })).stdout;
    },
    start: (name, command, options = {}) => {
      const args = ['--pdeathsig', 'KILL', '--', 'nsenter', ...enter];
      const own = ['setpriv', '--pdeathsig', 'KILL', '--', ...commandOf(command, options)];
      return startInside(t, [...args, ...own], envOf(options), join(folder, `${name}.out`));
    },
  };
}

/** Resolves with the process id of the namespaces' first process. */
async function startInit(
  t: Pick<ExecutionContext, 'teardown'>,
  folder: string,
  addresses: readonly string[],
): Promise<number> {
  const script = [
    'set -e',
    'ip link set lo up',
    ...addresses.map((address) => `ip address add ${address}/32 dev lo`),
    'mount -t tmpfs tmpfs /dev/shm',
    ...Object.entries(ownFolders).map(([path, name]) => `mount --bind "$1/${name}" ${path}`),
    // What is mounted on the node later is seen by its agents too, as in their pods.
    'mount --make-rshared /',
    'mount --rbind / "$1/host"',
    'mount --make-rslave "$1/host"',
    'echo ready',
    'exec sleep infinity',
  ].join('\n');
  const own = ['--net', '--mount', '--pid', '--fork', '--kill-child', '--mount-proc'];
  const args = ['--pdeathsig', 'KILL', '--', 'unshare', ...own, '--', 'sh', '-c', script, 'sh', folder];
  const child = spawn('setpriv', args, { stdio: ['ignore', 'pipe', 'inherit'] });
  t.teardown(() => end(child));
  const [said] = await Promise.race([once(child.stdout, 'data'), once(child, 'exit')]);
  if (String(said) !== 'ready\n') throw new Error(`The namespaces were not made: ${said}`);
  return eventually(() => onlyChildOf(child));
}

async function startInside(
  t: Pick<ExecutionContext, 'teardown'>,
  args: readonly string[],
  env: NodeJS.ProcessEnv,
  file: string,
): Promise<Inside> {
  const output = openSync(file, 'w');
  const child = spawn('setpriv', args, { stdio: ['ignore', output, output], env });
  closeSync(output);
  const ended = once(child, 'exit').then(([code, signal]) => (code ?? signal) as number | string);
  t.teardown(() => end(child));
  const pid = await eventually(() => onlyChildOf(child));
  const isRunning = () => child.exitCode === null && child.signalCode === null;
  const signal = (name: NodeJS.Signals) => void (isRunning() && process.kill(pid, name));
  return {
    pid,
    ended,
    output: () => readFileSync(file, 'utf8'),
    signal,
    isRunning,
    stop: (name = 'SIGKILL') => {
      signal(name);
      return ended;
    },
  };
}

async function onlyChildOf({ pid = 0 }: ChildProcess): Promise<number> {
  const [first] = await childrenOf(pid);
  if (first === undefined) throw new Error('It has no child');
  return first;
}

/** What is inside is killed with it. */
async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
}

function pathOf(folder: string, nodePath: string): string {
  const [root, name] = Object.entries(ownFolders).find(([path]) => nodePath.startsWith(path)) ?? [];
  if (root === undefined || name === undefined) throw new TypeError(`${nodePath} is not the node's own`);
  return join(folder, name, nodePath.slice(root.length));
}

/** Makes the node's programs trust an authority as they trust public ones. */
export function trustPublicly(world: Namespaces, certificatePem: string): void {
  appendFileSync(world.path('/etc/ssl/certs/ca-certificates.crt'), certificatePem);
}
