/**
 * A node of the test's own: real runtimes, a real mirror for each of two upstreams, and the upstreams themselves, all in namespaces without a way
 * out (`namespaces.ts`). Agents are started by the tests. The main file of this folder.
 */
import assert from 'node:assert/strict';
import { cpSync, existsSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { leafNames } from '../../../src/operator/certificates/leaf.ts';
import { mirrorOf } from '../../unit/resources/fixtures.ts';
import { makeAuthority, makeLeaf, type TestAuthority } from '../certificates.ts';
import { eventually } from '../eventually.ts';
import { familyOf } from '../processes.ts';
import { type AgentPlace, operatorPair, type WorldMirror } from './agent.ts';
import type { MirrorProgram } from './mirror-program.ts';
import { type Asked, addresses } from './names.ts';
import { type Inside, makeNamespaces, type Namespaces, trustPublicly } from './namespaces.ts';
import { type NodeRuntimes, startRuntimes } from './runtimes.ts';

/** Docker Hub's mirror, and one of a registry that has a name of its own. */
export const hub: WorldMirror = {
  name: 'hub',
  spec: { upstreamUrl: 'docker.io', nodes: { wire: 'transparent' } },
  address: addresses.hub,
  port: 30_100,
};
export const own: WorldMirror = {
  name: 'own',
  spec: { upstreamUrl: 'registry.test', nodes: { wire: 'transparent' } },
  address: addresses.own,
  port: 30_101,
};

export interface NodeWorld extends AgentPlace, NodeRuntimes {
  readonly world: Namespaces;
  readonly authority: TestAuthority;
  /** What the upstreams were asked since the last call. */
  readonly asked: () => Asked[];
  readonly startMirror: (mirror: WorldMirror) => Promise<void>;
  /** Those that do not run. */
  readonly startMirrors: () => Promise<void>;
  /** Kills it as a node that is lost loses its pods. */
  readonly stopMirror: (mirror: WorldMirror) => Promise<void>;
  /** It is there and does not answer, until it goes on. */
  readonly pauseMirror: (mirror: WorldMirror) => Promise<() => void>;
  /** Rejects while nobody listens there, on the node. */
  readonly reachable: (port: number, address?: string) => Promise<void>;
}

type Ends = Pick<ExecutionContext, 'teardown'>;

export async function makeNodeWorld(t: Ends): Promise<NodeWorld> {
  const world = await makeNamespaces(t, Object.values(addresses));
  // As a pod has it: what is done to the node's hosts file is not seen there.
  const podEtc = join(world.folder, 'pod-etc');
  writeFileSync(world.path('/etc/resolv.conf'), `nameserver ${addresses.dns}\n`);
  writeFileSync(world.path('/etc/hosts'), '127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost\n');
  cpSync(world.path('/etc'), podEtc, { recursive: true, verbatimSymlinks: true });
  await startUpstream(world);
  trustPublicly(world, readFileSync(join(world.folder, 'ca.crt'), 'utf8'));
  const authority = await makeAuthority(join(world.folder, 'operator'), 'registry-mirror-operator');
  const mirrors = new Map<string, Inside>();
  const startMirror = async (mirror: WorldMirror) => {
    mirrors.set(mirror.name, await startMirrorProgram(world, authority, podEtc, mirror));
  };
  await Promise.all([hub, own].map(startMirror));
  const operator = await operatorPair(authority);
  const runtimes = await startRuntimes(world);
  const log = join(world.folder, 'asked.log');
  return {
    ...runtimes,
    world,
    authority,
    operator,
    startMirror,
    startMirrors: async () => {
      for (const mirror of [hub, own])
        if (mirrors.get(mirror.name)?.isRunning() !== true) await startMirror(mirror);
    },
    stopMirror: async ({ name }) => {
      await mirrors.get(name)?.stop();
    },
    pauseMirror: async ({ name }) => {
      const family = await familyOf(mirrors.get(name)?.pid ?? 0);
      // nsenter, the first, stops itself when its child stops; stopped by us too, it would stay so.
      for (const pid of family.slice(1)) process.kill(pid, 'SIGSTOP');
      return () => family.map((pid) => process.kill(pid, 'SIGCONT'));
    },
    asked: () => {
      const lines = existsSync(log) ? readFileSync(log, 'utf8').split('\n').filter(Boolean) : [];
      if (lines.length > 0) truncateSync(log);
      return lines.map((line) => JSON.parse(line) as Asked);
    },
    reachable: async (port, address = '127.0.0.1') => {
      await world.run(['bash', '-c', 'exec 3<>"/dev/tcp/$0/$1"', address, String(port)]);
    },
  };
}

/** Digests of the blobs that were asked for with GET, each as often as it was. */
export function blobsOf(asked: readonly Asked[]): string[] {
  const parts = asked.map(({ method, path }) =>
    method === 'GET' ? /\/blobs\/(sha256:.+)$/.exec(path)?.[1] : undefined,
  );
  return parts.filter((each) => each !== undefined).sort();
}

async function startUpstream(world: Namespaces): Promise<void> {
  const program = join(import.meta.dirname, 'upstream-program.ts');
  const upstream = await world.start('upstream', [process.execPath, program, world.folder]);
  await isReady(upstream);
}

async function startMirrorProgram(
  world: Namespaces,
  authority: TestAuthority,
  podEtc: string,
  { name, spec, address }: WorldMirror,
): Promise<Inside> {
  const names = leafNames(mirrorOf(spec, { name }), 'default', [address]);
  const { certFile, keyFile } = await makeLeaf(authority, names, `mirror-${name}`);
  const upstreamCaFile = join(world.folder, 'ca.crt');
  const told: MirrorProgram = { name, spec, address, certFile, keyFile, upstreamCaFile };
  const program = join(import.meta.dirname, 'mirror-program.ts');
  const mirror = await world.start(`mirror-${name}`, [process.execPath, program, JSON.stringify(told)], {
    prepare: `mount --bind ${podEtc} /etc`,
  });
  await isReady(mirror);
  return mirror;
}

async function isReady(program: Inside): Promise<void> {
  await eventually(() => assert.match(program.output(), /^ready$/m)).catch((cause) => {
    throw new Error(`It did not start: ${program.output().slice(-2000)}`, { cause });
  });
}
