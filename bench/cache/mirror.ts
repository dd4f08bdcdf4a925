/** This mirror as users run it: the files of `cacheFiles`, Debian's nginx, the `broker` command; one replica or several. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  brokerSocket,
  type CacheConfig,
  type Replica as PeerReplica,
  type Peers,
} from '../../src/cache/cache-config.ts';
import { cacheFiles } from '../../src/cache/cache-files.ts';
import { cacheConfig, cacheMirror } from '../../test/support/cache-config.ts';
import { makePeers } from '../../test/support/peers.ts';
import type { Contender, Ground } from './contenders.ts';
import { type Daemon, startDaemon } from './daemon.ts';
import { tagTtlSeconds } from './scenarios.ts';

export interface MirrorOptions {
  readonly name: string;
  readonly executable: string;
  readonly dir: string;
  /** One for each replica: all listen on the same ports, as pods do. */
  readonly addresses: readonly string[];
  readonly ports: { readonly clients: number; readonly peers: number };
}

/** Starts all replicas; they know each other when there are several. */
export async function startMirror(ground: Ground, options: MirrorOptions): Promise<Contender> {
  const { addresses, ports } = options;
  const replicas = addresses.map((host, index) => ({ name: replicaName(index), host, port: ports.peers }));
  const peers = replicas.length > 1 ? await peersOf(options.dir, replicas) : undefined;
  const brokers: Daemon[] = [];
  const servers: Daemon[] = [];
  for (const [index, address] of addresses.entries()) {
    const replica = { name: replicaName(index), address, dir: join(options.dir, String(index)) };
    const config = configuration(ground, replica, { ports, peers });
    writeFiles(config);
    brokers.push(await startBroker(ground, options, config, replica));
    servers.push(await startServer(ground, config, replica));
  }
  const daemons = [...servers, ...brokers];
  return {
    name: options.name,
    endpoints: addresses.map((address) => `https://${address}:${ports.clients}`),
    takes: () => true,
    pids: { all: daemons.map(({ pid }) => pid), miss: brokers.map(({ pid }) => pid) },
    stop: async () => void (await Promise.all(daemons.map((daemon) => daemon.stop()))),
  };
}

interface Replica {
  readonly name: string;
  readonly address: string;
  readonly dir: string;
}

function replicaName(index: number): string {
  return `registry-mirror-bench-${index}`;
}

/** The authority signs; only its certificate is anybody else's business. */
async function peersOf(dir: string, replicas: readonly PeerReplica[]): Promise<Omit<Peers, 'listen'>> {
  const { authority: _authority, ...peers } = await makePeers(dir, replicas);
  return peers;
}

function configuration(
  ground: Ground,
  { address, dir }: Replica,
  { ports, peers }: { ports: MirrorOptions['ports']; peers: Omit<Peers, 'listen'> | undefined },
): CacheConfig {
  const mirror = cacheMirror('bench', `https://${ground.upstreamHost}`, {
    masquerade: 'mirror.bench.test',
    tagTtlSeconds,
    cacheDir: join(dir, 'data/bench'),
    caFiles: [ground.authority.file],
  });
  const changes: Partial<CacheConfig> = {
    listen: [{ address, port: ports.clients }],
    certificates: [{ certFile: ground.certFile, keyFile: ground.keyFile, names: [] }],
    accessLog: join(dir, 'access.log'),
    workerProcesses: ground.workers,
    user: 'root',
    ...(peers && { peers: { ...peers, listen: [{ address, port: ports.peers }] } }),
  };
  return cacheConfig([mirror], changes, dir);
}

function writeFiles(config: CacheConfig): void {
  const { runDir, tempDir, confDir, brokerDir } = config.paths;
  for (const dir of [runDir, tempDir, confDir, brokerDir]) mkdirSync(dir, { recursive: true });
  for (const [name, content] of Object.entries(cacheFiles(config)))
    writeFileSync(join(confDir, name), content);
}

function startBroker(
  { signal }: Ground,
  { executable, addresses }: MirrorOptions,
  { paths }: CacheConfig,
  { name, dir }: Replica,
): Promise<Daemon> {
  const replica = addresses.length > 1 ? ['--replica', name] : [];
  return startDaemon(
    {
      program: executable,
      args: ['broker', '--config', join(paths.confDir, 'broker.json'), ...replica],
      logFile: join(dir, 'broker.log'),
      answers: { path: brokerSocket(paths) },
    },
    signal,
  );
}

function startServer({ signal }: Ground, { paths, listen }: CacheConfig, { dir }: Replica): Promise<Daemon> {
  const { address: host = '', port = 0 } = listen[0] ?? {};
  return startDaemon(
    {
      program: 'nginx',
      args: ['-e', 'stderr', '-c', join(paths.confDir, 'nginx.conf')],
      logFile: join(dir, 'nginx.log'),
      answers: { host, port },
    },
    signal,
  );
}
