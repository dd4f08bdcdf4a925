/** Several replicas of one cache, each a real nginx in front of a broker in the test's own process. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import type { CacheConfig, CacheMirror, Peers, Replica } from '../../src/cache/cache-config.ts';
import { startCache, type TestCache } from './nginx.ts';
import { makePeers } from './peers.ts';
import { freePort } from './registry.ts';

export interface Replicas {
  readonly caches: readonly TestCache[];
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
  const replicas: Replica[] = [];
  for (let index = 0; index < count; index++) {
    replicas.push({ name: `m-${index}`, host: `127.0.0.${index + 2}`, port: await freePort() });
  }
  const { authority: _own, ...peers } = await makePeers(dir, replicas);
  const peersOf = ({ host, port }: Replica, known: readonly Replica[]): Peers => ({
    ...peers,
    replicas: known,
    listen: [{ address: host, port }],
  });
  const caches = await Promise.all(
    replicas.map((replica) =>
      startCache(t, [mirror], { ...changes, peers: peersOf(replica, replicas) }, { replica: replica.name }),
    ),
  );
  return {
    caches,
    replicas,
    cache: (name) => caches[replicas.findIndex((replica) => replica.name === name)]!,
    tell: (index, known) =>
      caches[index]!.reload([mirror], { peers: peersOf(replicas[index]!, replicas.slice(0, known)) }),
  };
}
