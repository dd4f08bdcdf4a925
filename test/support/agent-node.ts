/** Stands in for the kubelet of one node: runs the real node agent of a live DaemonSet on a folder, with the DaemonSet's own environment and volume. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { get, type IncomingMessage } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import type { ExecutionContext } from 'ava';
import { listKey } from '../../src/api/node-mirror.ts';
import type { NodeReport } from '../../src/api/node-report.ts';
import type { Live, World } from './operator-world.ts';
import { programEnvironment } from './program-environment.ts';

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const apps = '/apis/apps/v1/namespaces/default/daemonsets';
const core = '/api/v1/namespaces/default';

interface Variable {
  readonly name: string;
  readonly value?: string;
  readonly valueFrom?: { readonly fieldRef: { readonly fieldPath: string } };
}

export interface NodeOptions {
  readonly name?: string;
  readonly address?: string;
  readonly isUnversioned?: boolean;
}

interface Running {
  readonly uid: string;
  readonly child: ChildProcess;
  readonly pod: string;
  readonly folder: string;
  readonly trust: string;
  readonly ready: string;
}

export class AgentNode {
  readonly name: string;
  /** The node's root. */
  readonly root: string;
  /** Its kubelet brings pods that run no change of their Secrets. */
  isLate = false;
  /** The controller of DaemonSets says that this pod is still to be replaced. */
  isOutdated = false;
  /** What its agents are told is as an operator writes it that counts no versions. */
  readonly #isUnversioned: boolean;
  readonly #world: World;
  readonly #address: string;
  readonly #folder: string;
  readonly #running = new Map<string, Running>();

  /** The address is not the one that the forwarder listens on, with the same port where a mirror has agents of its own. */
  constructor(world: World, { name = 'node-1', address = '127.0.0.2', isUnversioned = false }: NodeOptions) {
    this.name = name;
    this.#isUnversioned = isUnversioned;
    this.#world = world;
    this.#address = address;
    this.#folder = mkdtempSync(join(tmpdir(), 'agent-node-'));
    this.root = join(this.#folder, 'root');
    mkdirSync(join(this.root, 'etc'), { recursive: true });
    writeFileSync(join(this.root, 'etc/hosts'), '127.0.0.1 localhost\n');
  }

  hosts(): string {
    return readFileSync(join(this.root, 'etc/hosts'), 'utf8');
  }

  /** Names of the DaemonSets whose agents run here. */
  agents(): string[] {
    return [...this.#running.keys()].sort();
  }

  /** One moment of the kubelet and of the DaemonSet's controller. */
  async tick(): Promise<void> {
    const { items } = await this.#world.get(apps);
    for (const name of this.#running.keys()) {
      const set = items.find(({ metadata }: Live) => metadata.name === name);
      if (set === undefined || keyOf(set) !== this.#running.get(name)?.uid) await this.#end(name);
    }
    for (const set of items) {
      const running = this.#running.get(set.metadata.name) ?? (await this.#start(set));
      if (!this.isLate) await this.#mount(set, running.trust);
      await this.#report(set, running);
    }
  }

  /** The kubelet brings the agent of a DaemonSet this Secret, however old it is. */
  bring(daemonSet: string, secret: Live): void {
    const running = this.#running.get(daemonSet);
    if (running === undefined) throw new Error(`No agent of ${daemonSet} runs here`);
    this.#write(running.trust, this.#filesOf(secret));
  }

  /** What the agent of a DaemonSet says of itself to people on the node. */
  async report(daemonSet: string): Promise<NodeReport> {
    const socketPath = join(this.#running.get(daemonSet)?.folder ?? '', 'status.sock');
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
    get({ socketPath, path: '/status' }, resolve).on('error', reject);
    return JSON.parse(await text(await promise)) as NodeReport;
  }

  async end(): Promise<void> {
    for (const name of this.#running.keys()) await this.#end(name);
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async #start(set: Live): Promise<Running> {
    const { name } = set.metadata;
    const folder = mkdtempSync(join(this.#folder, `${name}-`));
    const trust = join(folder, 'trust');
    mkdirSync(trust);
    await this.#mount(set, trust);
    const { spec, metadata } = set.spec.template;
    const [container] = spec.containers;
    const env = Object.fromEntries(
      container.env.map((variable: Variable) => [
        variable.name,
        this.#value(variable).replace('/etc/registry-mirror/trust', trust),
      ]),
    );
    const own = {
      ...programEnvironment,
      HOST_ROOT: this.root,
      CERT_FILE: join(trust, 'tls.crt'),
      KEY_FILE: join(trust, 'tls.key'),
      AUTHORITIES_FILE: join(trust, 'peer-ca.crt'),
      READY_FILE: join(folder, 'ready'),
      FORWARDER_DIR: join(folder, 'f'),
      STATUS_SOCKET: join(folder, 'status.sock'),
      SECONDS_BETWEEN_STREAMS: '1',
    };
    const child = spawn(process.execPath, [main, 'node-agent'], { env: { ...env, ...own }, stdio: 'ignore' });
    const pod = `${name}-${this.name}-${folder.slice(-6).toLowerCase()}`;
    await this.#world.plane.adminFetch(`${core}/pods`, {
      method: 'POST',
      body: {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name: pod, labels: metadata.labels, annotations: metadata.annotations },
        spec: {
          nodeName: this.name,
          containers: [{ name: container.name, image: container.image, env: container.env }],
        },
      },
    } as Live);
    const status = {
      phase: 'Running',
      hostIP: this.#address,
      hostIPs: [{ ip: this.#address }],
      podIP: this.#address,
    };
    await this.#world.patch(`${core}/pods/${pod}/status`, { status });
    const running = { uid: keyOf(set), child, pod, folder, trust, ready: join(folder, 'ready') };
    this.#running.set(name, running);
    return running;
  }

  #value({ value, valueFrom }: Variable): string {
    if (valueFrom === undefined) return value ?? '';
    return valueFrom.fieldRef.fieldPath === 'spec.nodeName' ? this.name : this.#address;
  }

  async #mount(set: Live, trust: string): Promise<void> {
    const volume = set.spec.template.spec.volumes.find(({ name }: Live) => name === 'trust');
    const wanted = new Map<string, Buffer>();
    for (const { secret } of volume.projected.sources) {
      const live = await this.#world.find(`${core}/secrets/${secret.name}`);
      const files = this.#filesOf(live);
      const items = new Set(secret.items?.map(({ key }: Live) => key) ?? files.keys());
      for (const [key, content] of files) if (items.has(key)) wanted.set(key, content);
    }
    this.#write(trust, wanted);
  }

  #filesOf(secret: Live): Map<string, Buffer> {
    const data = Object.entries<string>(secret?.data ?? {});
    const files = new Map(data.map(([key, value]) => [key, Buffer.from(value, 'base64')]));
    const list = files.get(listKey);
    if (list === undefined || !this.#isUnversioned) return files;
    const { version: _version, left: _left, ...rest } = JSON.parse(list.toString());
    return files.set(listKey, Buffer.from(JSON.stringify(rest)));
  }

  #write(trust: string, wanted: ReadonlyMap<string, Buffer>): void {
    for (const [key, content] of wanted) {
      const file = join(trust, key);
      if (!readdirSync(trust).includes(key) || !readFileSync(file).equals(content))
        writeFileSync(file, content);
    }
    for (const key of readdirSync(trust)) if (!wanted.has(key)) rmSync(join(trust, key));
  }

  async #report(set: Live, { ready, pod }: Running): Promise<void> {
    const isReady = Number(readable(ready));
    const status = {
      observedGeneration: set.metadata.generation,
      desiredNumberScheduled: 1,
      currentNumberScheduled: 1,
      updatedNumberScheduled: this.isOutdated ? 0 : 1,
      numberMisscheduled: 0,
      numberReady: isReady,
    };
    const isSaid = Object.entries(status).every(([key, value]) => (set.status[key] ?? 0) === value);
    if (isSaid) return;
    const conditions = [{ type: 'Ready', status: isReady ? 'True' : 'False' }];
    await this.#world.patch(`${core}/pods/${pod}/status`, { status: { conditions } });
    await this.#world.patch(`${apps}/${set.metadata.name}/status`, { status });
  }

  async #end(name: string): Promise<void> {
    const running = this.#running.get(name);
    this.#running.delete(name);
    if (running === undefined) return;
    const { child, pod } = running;
    if (child.exitCode === null && child.signalCode === null) {
      const exited = once(child, 'exit');
      child.kill('SIGTERM');
      await exited;
    }
    const force = { apiVersion: 'v1', kind: 'DeleteOptions', gracePeriodSeconds: 0 };
    await this.#world.plane
      .adminFetch(`${core}/pods/${pod}`, { method: 'DELETE', body: force } as Live)
      .catch(() => undefined);
  }
}

/** A node that lives as long as the test. */
export function agentNode(t: ExecutionContext, world: World, options: NodeOptions = {}): AgentNode {
  const node = new AgentNode(world, options);
  let stopped = false;
  const living = (async () => {
    while (!stopped) {
      await node.tick().catch(() => undefined);
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  })();
  t.teardown(async () => {
    stopped = true;
    await living;
    await node.end();
  });
  return node;
}

/** Another template is another pod. */
function keyOf({ metadata, spec }: Live): string {
  return `${metadata.uid} ${JSON.stringify(spec.template)}`;
}

function readable(file: string): boolean {
  try {
    readFileSync(file);
    return true;
  } catch {
    return false;
  }
}
