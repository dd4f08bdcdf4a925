/** A node of the test's own: a folder as host root, agents' options for it, and file-system calls that fail or end the process when told. */
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { NodeFacts } from '../../../src/node/facts.ts';
import type { FileCalls } from '../../../src/node/files.ts';
import type { HostsEntry } from '../../../src/node/hosts-file.ts';
import type { AgentOptions, WiredMirror } from '../../../src/node/options.ts';
import { makePass, type PassInput, type PassReport, type PassTools } from '../../../src/node/pass.ts';
import { certificateOne } from './certificates.ts';

/** What a test says of its one mirror and its agent, and of what is found on the node. */
export interface Changes extends Partial<AgentOptions>, Partial<Omit<WiredMirror, 'name' | 'hostsNames'>> {
  readonly mirror?: string;
  /** As lines of the hosts file. */
  readonly entries?: readonly HostsEntry[];
  readonly facts?: NodeFacts;
  readonly answers?: (mirror: WiredMirror) => boolean;
}

export type TestOptions = AgentOptions & Pick<PassInput, 'facts' | 'answers'>;

export interface Sandbox {
  readonly root: string;
  readonly caFile: string;
  readonly options: (changes?: Changes) => TestOptions;
  readonly put: (path: string, content: string | Buffer, mode?: number) => void;
  readonly get: (path: string) => string;
  readonly bytes: (path: string) => Buffer | undefined;
  /** Everything below the root but the agents' own state and lock: type, mode, owner, content or target of each path. */
  readonly tree: () => Record<string, string>;
  readonly pass: (options: TestOptions, files?: FileCalls) => Promise<PassReport>;
  readonly remove: () => void;
}

export function makeSandbox(): Sandbox {
  // Memory where there is such a folder: thousands of fsyncs.
  const parent = fs.existsSync('/dev/shm') ? '/dev/shm' : tmpdir();
  const base = fs.mkdtempSync(join(parent, 'node-agent-'));
  const root = join(base, 'host');
  const caFile = join(base, 'trust', 'ca.crt');
  for (const folder of [join(root, 'etc'), dirname(caFile)]) fs.mkdirSync(folder, { recursive: true });
  fs.writeFileSync(caFile, certificateOne);
  const put = (path: string, content: string | Buffer, mode = 0o644): void => {
    fs.mkdirSync(dirname(join(root, path)), { recursive: true });
    fs.writeFileSync(join(root, path), content);
    fs.chmodSync(join(root, path), mode);
  };
  return {
    root,
    caFile,
    put,
    options: (changes = {}) => optionsFrom(changes, { base, root, caFile }),
    get: (path) => fs.readFileSync(join(root, path), 'latin1'),
    bytes: (path) => (fs.existsSync(join(root, path)) ? fs.readFileSync(join(root, path)) : undefined),
    tree: () => treeOf(root),
    pass: (options, files = fs) => makePass(passInput(options), toolsWith(files)),
    remove: () => fs.rmSync(base, { recursive: true, force: true }),
  };
}

/** The process is gone: nothing after this happens. */
export class Killed extends Error {}

export type Fault = 'kill-before' | 'kill-after' | 'kill-within' | 'fail';

/** With how many calls were made, their names, and (where that is asked for) from where in the code. */
export type CountedCalls = FileCalls & {
  readonly calls: number;
  readonly made: readonly string[];
  readonly places: readonly string[];
};

/**
 * Real calls, until number `at` (from 1): then the process is killed before, after or within it (a half write), or that one call fails with ENOSPC.
 * `seen` runs after every call. `busy`: renames onto this path fail as onto a mount point.
 */
export function faultyFiles(
  fault: Fault,
  at: number,
  options: { seen?: () => void; busy?: string; withPlaces?: boolean } = {},
): CountedCalls {
  const made: string[] = [];
  const places: string[] = [];
  let calls = 0;
  let killed = false;
  const call = (name: string, real: (...args: unknown[]) => unknown, args: unknown[]): unknown => {
    if (killed && name === 'closeSync') return real(...args);
    if (killed) throw new Killed();
    calls += 1;
    made.push(name);
    if (options.withPlaces) places.push(`${name} ${callers()}`);
    if (calls === at && fault === 'fail' && name !== 'closeSync') {
      throw Object.assign(new Error('no space'), { code: 'ENOSPC' });
    }
    killed = calls === at && fault !== 'fail';
    if (killed && fault === 'kill-before' && name !== 'closeSync') throw new Killed();
    if (killed && fault === 'kill-within' && name === 'writeSync') {
      const [descriptor, content, from, length, position] = args as [number, Buffer, number, number, number];
      fs.writeSync(descriptor, content, from, Math.floor(length / 2), position);
      throw new Killed();
    }
    if (name === 'renameSync' && args[1] === options.busy)
      throw Object.assign(new Error('busy'), { code: 'EBUSY' });
    const result = real(...args);
    options.seen?.();
    if (killed) throw new Killed();
    return result;
  };
  return new Proxy(fs as unknown as CountedCalls, {
    get: (_, name: string) => {
      if (name === 'calls') return calls;
      if (name === 'made') return made;
      if (name === 'places') return places;
      const real = (fs as unknown as Record<string, (...args: unknown[]) => unknown>)[name]!;
      return (...args: unknown[]) => call(name, real, args);
    },
  });
}

/** Real calls, but those of these names fail with `code` at each path for which `is` is true. */
export function refusingFiles(
  code: string,
  names: readonly (keyof FileCalls)[],
  is: (path: string) => boolean,
): FileCalls {
  return new Proxy(fs as FileCalls, {
    get: (real, name: keyof FileCalls) => {
      const call = real[name] as (...args: unknown[]) => unknown;
      if (!names.includes(name)) return call;
      return (path: string, ...rest: unknown[]) => {
        if (is(path)) throw Object.assign(new Error(`${code}: refused, '${path}'`), { code, path });
        return call(path, ...rest);
      };
    },
  });
}

const changeNothing = new Set([
  'lstatSync',
  'readFileSync',
  'readdirSync',
  'readlinkSync',
  'fsyncSync',
  'closeSync',
]);

/**
 * The calls (from 1) of a run that made these at which a fault is not the same as at another one: after a call that changes nothing, a
 * killed process leaves what the call before left; a write alone can be half done; and what fails is followed by the same code wherever it fails.
 */
export function positions(
  fault: Exclude<Fault, 'kill-before'>,
  { made, places }: Pick<CountedCalls, 'made' | 'places'>,
): number[] {
  if (fault === 'fail') return oneOfEachPlace(places);
  const isPosition = (name: string) =>
    fault === 'kill-within' ? name === 'writeSync' : !changeNothing.has(name);
  return made.flatMap((name, index) => (isPosition(name) ? [index + 1] : []));
}

/** One call (from 1) of each place in the code. */
function oneOfEachPlace(places: readonly string[]): number[] {
  const calls = Map.groupBy(
    places.map((_, index) => index + 1),
    (call) => places[call - 1],
  );
  // Not the first one of each: that is mostly about the same file.
  return [...calls.values()].map((some, at) => some[at % some.length]!).sort((one, other) => one - other);
}

function callers(): string {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 100;
  const { stack = '' } = new Error();
  Error.stackTraceLimit = stackTraceLimit;
  return stack;
}

/** Nobody else is at work, and every process takes its signal. */
export function toolsWith(files: FileCalls): PassTools {
  return { files, lock: async () => async () => undefined, signal: () => ({ sent: [1] }) };
}

/** A mirror of whose wiring nothing is said but `changes`. */
export function wiredMirror(name: string, caFile: string, changes: Partial<WiredMirror> = {}): WiredMirror {
  return {
    name,
    names: [],
    addresses: [],
    endpoint: 'loopback',
    serverName: 'mirror.test',
    runtimes: ['auto'],
    hostsNames: [],
    certificateNames: [],
    clientCertificate: false,
    containerd: 'report',
    foreignFiles: 'refuse',
    foreignHostsLines: 'override',
    caFile,
    ...changes,
  };
}

/** What a pass of these options is about. */
export function passInput(options: TestOptions): PassInput {
  const { mode, facts, answers } = options;
  return { mode, places: options, list: options.mirrors(), facts, answers };
}

function optionsFrom(
  changes: Changes,
  { base, root, caFile }: { base: string; root: string; caFile: string },
): TestOptions {
  const { mirror = 'hub', entries = [{ address: '10.96.0.10', name: 'mirror-hub.example' }] } = changes;
  const wired = wiredMirror(mirror, caFile, {
    addresses: [...new Set(entries.map(({ address }) => address))],
    certificateNames: ['mirror-hub.example'],
    ...chosen(changes, mirrorFields),
    hostsNames: [...new Set(entries.map(({ name }) => name))],
  });
  return {
    mode: 'wire',
    node: 'node',
    mirrors: () => ({ mirrors: [wired], whole: false }),
    watched: [wired.caFile],
    hostRoot: root,
    stateFolder: '/var/lib/registry-mirror-operator',
    hostsFile: '/etc/hosts',
    hostsBackup: '/etc/hosts.backup/hosts',
    lockFile: '/var/lock/mirror-hostess/mirror-hostess',
    readyFile: join(base, 'ready'),
    interval: 30_000,
    forwarderFolder: join(base, 'forwarder'),
    statusSocket: join(base, 'status.sock'),
    facts: {},
    answers: () => true,
    ...chosen(changes, optionFields),
  };
}

const mirrorFields = [
  'names',
  'addresses',
  'port',
  'endpoint',
  'serverName',
  'runtimes',
  'certificateNames',
  'clientCertificate',
  'containerd',
  'foreignFiles',
  'foreignHostsLines',
  'caFile',
  'client',
] as const;

const optionFields = [
  'mode',
  'mirrors',
  'watched',
  'hostRoot',
  'hostsFile',
  'hostsBackup',
  'lockFile',
  'interval',
  'facts',
  'answers',
] as const;

function chosen<K extends keyof Changes>(changes: Changes, fields: readonly K[]): Partial<Pick<Changes, K>> {
  const entries = fields
    .filter((field) => changes[field] !== undefined)
    .map((field) => [field, changes[field]]);
  return Object.fromEntries(entries);
}

function treeOf(root: string): Record<string, string> {
  const names = fs.readdirSync(root, { recursive: true, encoding: 'utf8' });
  const ours = /^var(\/|$)/;
  const kept = names.filter((name) => !ours.test(name)).sort();
  return Object.fromEntries(kept.map((name) => [name, describe(join(root, name))]));
}

function describe(path: string): string {
  const stat = fs.lstatSync(path);
  const attributes = `${(stat.mode & 0o7777).toString(8)} ${stat.uid}:${stat.gid}`;
  if (stat.isSymbolicLink()) return `link ${fs.readlinkSync(path)}`;
  return stat.isDirectory()
    ? `folder ${attributes}`
    : `file ${attributes} ${fs.readFileSync(path, 'latin1')}`;
}
