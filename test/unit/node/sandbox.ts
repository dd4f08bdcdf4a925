/** A node of the test's own: a folder as host root, agents' options for it, and file-system calls that fail or end the process when told. */
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { FileCalls } from '../../../src/node/files.ts';
import type { AgentOptions } from '../../../src/node/options.ts';
import { makePass, type PassReport } from '../../../src/node/pass.ts';
import { certificateOne } from './certificates.ts';

export interface Sandbox {
  readonly root: string;
  readonly caFile: string;
  readonly options: (changes?: Partial<AgentOptions>) => AgentOptions;
  readonly put: (path: string, content: string | Buffer, mode?: number) => void;
  readonly get: (path: string) => string;
  readonly bytes: (path: string) => Buffer | undefined;
  /** Everything below the root but the agents' own state and lock: type, mode, owner, content or target of each path. */
  readonly tree: () => Record<string, string>;
  readonly pass: (options: AgentOptions, files?: FileCalls) => Promise<PassReport>;
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
    options: (changes = {}) => ({ ...defaults(root, caFile, join(base, 'ready')), ...changes }),
    get: (path) => fs.readFileSync(join(root, path), 'latin1'),
    bytes: (path) => (fs.existsSync(join(root, path)) ? fs.readFileSync(join(root, path)) : undefined),
    tree: () => treeOf(root),
    pass: (options, files = fs) => makePass(options, { files, lock: async () => async () => undefined }),
    remove: () => fs.rmSync(base, { recursive: true, force: true }),
  };
}

/** The process is gone: nothing after this happens. */
export class Killed extends Error {}

export type Fault = 'kill-before' | 'kill-after' | 'kill-within' | 'fail';

/**
 * Real calls, until number `at` (from 1): then the process is killed before, after or within it (a half write), or that one call fails with ENOSPC.
 * `seen` runs after every call. `busy`: renames onto this path fail as onto a mount point.
 */
export function faultyFiles(
  fault: Fault,
  at: number,
  options: { seen?: () => void; busy?: string } = {},
): FileCalls & { readonly calls: number } {
  let calls = 0;
  let killed = false;
  const call = (name: string, real: (...args: unknown[]) => unknown, args: unknown[]): unknown => {
    if (killed && name === 'closeSync') return real(...args);
    if (killed) throw new Killed();
    calls += 1;
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
  return new Proxy(fs as unknown as FileCalls & { calls: number }, {
    get: (_, name: string) => {
      if (name === 'calls') return calls;
      const real = (fs as unknown as Record<string, (...args: unknown[]) => unknown>)[name]!;
      return (...args: unknown[]) => call(name, real, args);
    },
  });
}

function defaults(root: string, caFile: string, readyFile: string): AgentOptions {
  return {
    mode: 'wire',
    mirror: 'hub',
    hostRoot: root,
    stateFolder: '/var/lib/registry-mirror-operator',
    hostsFile: '/etc/hosts',
    hostsBackup: '/etc/hosts.backup/hosts',
    lockFile: '/var/lock/mirror-hostess/mirror-hostess',
    entries: [{ address: '10.96.0.10', name: 'mirror-hub.example' }],
    foreignLines: 'override',
    certificateNames: ['mirror-hub.example'],
    caFile,
    readyFile,
    interval: 30_000,
  };
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
