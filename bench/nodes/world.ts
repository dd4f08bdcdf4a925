/** The network of one run: an upstream, a mirror of it behind a Service's address, a node agent, and runtimes wired in three ways. */
import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ForwardedMirror } from '../../src/node/forwarder/config.ts';
import { freePort } from '../../test/kubernetes/free-ports.ts';
import { cacheMirror } from '../../test/support/cache-config.ts';
import { makeAuthority, makeLeaf } from '../../test/support/certificates.ts';
import { eventually } from '../../test/support/eventually.ts';
import { makeImage } from '../../test/support/images.ts';
import { startCache, type TestCache } from '../../test/support/nginx.ts';
import { pushImage, startRegistry } from '../../test/support/registry.ts';
import { reachable } from '../../test/support/tls-mirror.ts';
import { wirings } from './figures.ts';
import { type Runtime, startRuntimes } from './runtimes.ts';
import type { Scenario } from './scenarios.ts';
import { Service, serviceAddress } from './service.ts';
import { makeNodeFiles } from './wiring.ts';

/** Bytes of the files in the image's layers. */
const layerSizes = [4_000_000, 2_000_000, 100_000];
const serverName = 'mirror.test';

export interface World {
  readonly runtimes: readonly Runtime[];
  /** Makes it so, and waits until the agent has seen it unless the scenario is about that very moment. */
  readonly enter: (scenario: Scenario) => Promise<void>;
  /** How many requests of runtimes the mirror has answered. */
  readonly served: () => number;
  /** Everything is well again, and offered. */
  readonly heal: () => Promise<void>;
}

type Teardown = (end: () => unknown) => void;

export async function makeWorld(dir: string, teardown: Teardown): Promise<World> {
  const authority = await makeAuthority(join(dir, 'upstream-tls'), 'upstream authority');
  await startUpstream(dir, authority, teardown);
  const mirror = await startMirror(dir, authority.file, teardown);
  const service = new Service(mirror.port);
  teardown(() => service.close());
  const port = await freePort();
  const agent = new Agent(join(dir, 'agent'), {
    name: 'hub',
    port,
    addresses: [`${serviceAddress}:443`],
    serverName,
    caFile: mirror.caFile,
  });
  teardown(() => agent.kill());
  const roots = { none: join(dir, 'none'), ours: join(dir, 'ours'), service: join(dir, 'service') };
  for (const wiring of wirings)
    makeNodeFiles({ root: roots[wiring], wiring, port, ca: readFileSync(mirror.caFile, 'utf8') });
  const runtimes = await startRuntimes({ teardown, dir, roots, env: { SSL_CERT_FILE: authority.file } });
  return {
    runtimes,
    served: () => readFileSync(mirror.cache.config.accessLog, 'utf8').split('/v2/').length - 1,
    async enter({ service: state, failing = false, agentKilled = false, atOnce = false }) {
      if (failing) {
        await mirror.cache.stopBroker();
        mirror.cache.evict();
      }
      if (agentKilled) await agent.kill();
      await service.become(state);
      const offered = state === 'healthy' && !agentKilled;
      if (!atOnce) await (offered ? opened(port) : closed(port));
    },
    async heal() {
      await mirror.cache.startBroker();
      await service.become('healthy');
      agent.start();
      await opened(port);
    },
  };
}

/** distribution's registry under the name and the port of Docker Hub's. */
async function startUpstream(
  dir: string,
  authority: Awaited<ReturnType<typeof makeAuthority>>,
  teardown: Teardown,
): Promise<void> {
  const hosts = join(dir, 'hosts');
  writeFileSync(hosts, '127.0.0.1 localhost registry-1.docker.io\n');
  // In the run's own mount namespace.
  execFileSync('mount', ['--bind', hosts, '/etc/hosts']);
  const names = ['registry-1.docker.io'];
  const registry = await startRegistry(join(dir, 'upstream'), { authority, port: 443, names });
  teardown(registry.stop);
  await pushImage(registry, 'library/app', makeImage({ tag: '1', seed: 'nodes', layerSizes }));
}

interface Mirror {
  readonly cache: TestCache;
  readonly caFile: string;
  /** Of the loopback, where it has TLS for those that have a fallback. */
  readonly port: number;
}

async function startMirror(dir: string, upstreamCa: string, teardown: Teardown): Promise<Mirror> {
  const authority = await makeAuthority(join(dir, 'mirror-tls'), 'mirror authority');
  const port = await freePort();
  const cache = await startCache({ teardown }, [cacheMirror('hub', 'docker.io', { caFiles: [upstreamCa] })], {
    fallbackListen: [{ address: '127.0.0.1', port }],
    certificates: [{ ...(await makeLeaf(authority, [serverName, serviceAddress])), names: [] }],
  });
  return { cache: onceStarted(cache), caFile: authority.file, port };
}

/** Its broker may be asked to start when it runs. */
function onceStarted(cache: TestCache): TestCache {
  let runs = true;
  return {
    ...cache,
    async stopBroker() {
      runs = false;
      await cache.stopBroker();
    },
    async startBroker() {
      if (!runs) await cache.startBroker();
      runs = true;
    },
  };
}

class Agent {
  readonly #args: readonly string[];
  readonly #log: number;
  #child: ChildProcess | undefined;

  constructor(folder: string, mirror: ForwardedMirror) {
    mkdirSync(folder, { recursive: true });
    this.#log = openSync(join(folder, 'log'), 'a');
    this.#args = [join(import.meta.dirname, 'agent.ts'), folder, JSON.stringify([mirror])];
  }

  start(): void {
    this.#child ??= spawn(process.execPath, this.#args, { stdio: ['ignore', this.#log, this.#log] });
  }

  async kill(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
}

async function opened(port: number): Promise<void> {
  await eventually(() => reachable(port), { timeout: 20_000, message: 'The mirror was not offered' });
}

async function closed(port: number): Promise<void> {
  await eventually(() => assert.rejects(reachable(port)), {
    timeout: 20_000,
    message: 'The mirror was not withdrawn',
  });
}
