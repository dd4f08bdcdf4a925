/** A real nginx and the real broker command in front of an upstream, each killed and started again at will. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { type CacheConfig, localSocket } from '../../src/cache/cache-config.ts';
import { type CacheFileName, cacheFiles } from '../../src/cache/cache-files.ts';
import { waitUntilServing } from '../../src/cache/nginx-process.ts';
import { freePort } from '../kubernetes/free-ports.ts';
import { cacheConfig } from './cache-config.ts';
import { makeAuthority, makeLeaf } from './certificates.ts';
import { type Asked, ask, mirrorOf, type Received } from './nginx.ts';
import { childrenOf } from './processes.ts';

export type Victim = 'broker worker' | 'broker supervisor' | 'broker' | 'nginx worker' | 'nginx';

export interface KillableCache {
  readonly cacheDir: string;
  get(path: string, asked?: Asked): Promise<Received>;
  /** Kills by SIGKILL, and starts again what nobody else would. */
  kill(victim: Victim): Promise<void>;
}

/** Starts both for one mirror (`mirror.test`) of `upstream` and ends them with the test. */
export async function startKillableCache(
  t: ExecutionContext,
  upstream: { scheme?: 'http' | 'https'; host: string },
  changes: Partial<CacheConfig>,
): Promise<KillableCache> {
  const root = mkdtempSync(join(tmpdir(), 'killable-'));
  t.teardown(() => rmSync(root, { recursive: true, force: true }));
  const authority = await makeAuthority(join(root, 'tls'));
  const leaf = await makeLeaf(authority, ['127.0.0.1']);
  const port = await freePort();
  const listen = [{ address: '127.0.0.1', port }];
  const cacheDir = join(root, 'data', 'm');
  const base: Partial<CacheConfig> = {
    listen,
    certificates: [{ ...leaf, names: [] }],
    accessLog: join(root, 'access.log'),
    workerProcesses: 2,
    ...(process.getuid?.() === 0 && { user: 'root' }),
  };
  const config = cacheConfig([mirrorOf(upstream, { cacheDir })], { ...base, ...changes }, root);
  for (const dir of ['run', 'tmp', 'config', 'data/broker']) mkdirSync(join(root, dir), { recursive: true });
  for (const [name, text] of Object.entries(cacheFiles(config)) as [CacheFileName, string][])
    writeFileSync(join(config.paths.confDir, name), text);
  let nginx: ChildProcess;
  let broker: ChildProcess;
  const startAll = { nginx: runNginx, broker: runBroker };
  t.teardown(async () => {
    await end(nginx);
    await end(broker);
  });
  await Promise.all([startAll.broker(), startAll.nginx()]);
  return { cacheDir, get: (path, asked) => ask({ port, authority, path }, asked), kill };

  async function runNginx(): Promise<void> {
    const args = ['-e', 'stderr', '-c', join(config.paths.confDir, 'nginx.conf')];
    // As pod and standalone do: a killed one leaves it behind, and the next could not bind it.
    rmSync(localSocket(config.paths), { force: true });
    // It says of every request that something was killed.
    nginx = spawn('nginx', args, { stdio: 'ignore', detached: true });
    await waitUntilServing({ address: '127.0.0.1', port }, { signal: AbortSignal.timeout(10_000) });
  }

  async function runBroker(): Promise<void> {
    const args = ['broker', '--config', join(config.paths.confDir, 'broker.json'), '--drain-seconds', '0'];
    broker = spawn('bin/registry-mirror-operator', args, { stdio: 'ignore', detached: true });
  }

  async function kill(victim: Victim): Promise<void> {
    if (victim === 'broker worker') killEach(await childrenOf(broker.pid ?? -1));
    else if (victim === 'nginx worker') killEach((await childrenOf(nginx.pid ?? -1)).slice(0, 1));
    else if (victim === 'broker supervisor') {
      broker.kill('SIGKILL');
      await once(broker, 'exit');
      await startAll.broker();
    } else if (victim === 'broker') {
      await end(broker);
      await startAll.broker();
    } else {
      await end(nginx);
      await startAll.nginx();
    }
  }
}

function killEach(pids: readonly number[]): void {
  for (const pid of pids) process.kill(pid, 'SIGKILL');
}

/** With its whole group: workers of a killed nginx go on. */
async function end(child: ChildProcess | undefined): Promise<void> {
  if (child?.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  process.kill(-child.pid, 'SIGKILL');
  await ended;
}
