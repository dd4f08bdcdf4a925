/** Several replicas of one cache, each a real nginx in front of a broker in the test's own process. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import type { CacheConfig, CacheMirror, Peers, Replica } from '../../src/cache/cache-config.ts';
import { freePorts } from '../kubernetes/free-ports.ts';
import { startCache, type TestCache } from './nginx.ts';
import { makePeers } from './peers.ts';
import { startTcpProxy, type TcpProxy } from './tcp-proxy.ts';

export interface Replicas {
  readonly caches: readonly TestCache[];
  /** The way to each of them, for the others. */
  readonly links: readonly TcpProxy[];
  readonly replicas: readonly Replica[];
  cache(name: string): TestCache;
  /** Tells one replica that there are the first `count` ones; the others hear nothing of it. */
  tell(index: number, count: number): Promise<void>;
}

/** Starts `count` replicas named `m-0`, `m-1`, ... of a cache of one mirror; each knows all. */
export async function startReplicas(
  t: ExecutionContext,
  mirror: CacheMirror,
  count: number,
  changes: Partial<CacheConfig> = {},
): Promise<Replicas> {
  const dir = mkdtempSync(join(tmpdir(), 'replicas-'));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  const ports = await freePorts(count);
  const listen = ports.map((port, index) => ({ address: `127.0.0.${index + 2}`, port }));
  const links = await Promise.all(listen.map(({ address, port }) => startTcpProxy(port, address)));
  t.teardown(() => Promise.all(links.map((link) => link.stop())));
  const replicas = links.map(({ port }, index) => ({ name: `m-${index}`, host: '127.0.0.1', port }));
  const { authority: _own, ...peers } = await makePeers(dir, replicas);
  const peersOf = (index: number, known: readonly Replica[]): Peers => ({
    ...peers,
    replicas: known,
    listen: [listen[index]!],
  });
  const caches = await Promise.all(
    replicas.map(({ name }, index) =>
      startCache(t, [mirror], { ...changes, peers: peersOf(index, replicas) }, { replica: name }),
    ),
  );
  return {
    caches,
    links,
    replicas,
    cache: (name) => caches[replicas.findIndex((replica) => replica.name === name)]!,
    tell: (index, known) =>
      caches[index]!.reload([mirror], { peers: peersOf(index, replicas.slice(0, known)) }),
  };
}
