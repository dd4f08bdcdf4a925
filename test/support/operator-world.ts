/** An API server with our CRD, a counting proxy in front, and operators as child processes; torn down with the test. */
import type { ExecutionContext } from 'ava';
import { assertClusterTellsNoSecrets } from './cluster-secrets.ts';
import { type ControlPlane, type ControlPlaneOptions, startControlPlane } from './control-plane.ts';
import { type CountingProxy, startCountingProxy } from './counting-proxy.ts';
import { eventually } from './eventually.ts';
import { type OperatorProcess, startOperator } from './operator-process.ts';

// biome-ignore lint/suspicious/noExplicitAny: objects of every kind, read field by field in assertions.
export type Live = any;

export const crdFile = 'crds/registrymirrors.k8s.osp.tech.yaml';
export const mirrorsPath = '/apis/k8s.osp.tech/v1/registrymirrors';

/** Paths of a mirror's objects in namespace `default`. */
export function pathsOf(name: string) {
  const core = '/api/v1/namespaces/default';
  const apps = '/apis/apps/v1/namespaces/default';
  const base = `registry-mirror-${name}`;
  return {
    mirror: `${mirrorsPath}/${name}`,
    service: `${core}/services/${base}`,
    headlessService: `${core}/services/${base}-headless`,
    configSecret: `${core}/secrets/${base}-secret`,
    leafSecret: `${core}/secrets/${base}-leaf`,
    statefulSet: `${apps}/statefulsets/${base}`,
    disruptionBudget: `/apis/policy/v1/namespaces/default/poddisruptionbudgets/${base}`,
    daemonSet: `${apps}/daemonsets/${base}-utils`,
  };
}

/** Path of the DaemonSet that restores nodes which left a mirror's selection; it is not always there. */
export function restoreSetOf(name: string): string {
  return `/apis/apps/v1/namespaces/default/daemonsets/registry-mirror-${name}-restore`;
}

export class World {
  readonly plane: ControlPlane;
  readonly proxy: CountingProxy;
  readonly #operators: OperatorProcess[] = [];

  constructor(plane: ControlPlane, proxy: CountingProxy) {
    this.plane = plane;
    this.proxy = proxy;
  }

  /** Starts an operator, through the proxy where nothing else is said. */
  start(environment: Record<string, string> = {}, access = this.proxy.access): OperatorProcess {
    const operator = startOperator(access, environment);
    this.#operators.push(operator);
    return operator;
  }

  /** Applies a RegistryMirror. */
  mirror(name: string, spec: Record<string, unknown>): Promise<Live> {
    return this.plane.apply({
      apiVersion: 'k8s.osp.tech/v1',
      kind: 'RegistryMirror',
      metadata: { name },
      spec,
    } as Live);
  }

  get(path: string): Promise<Live> {
    return this.plane.adminFetch<Live>(path);
  }

  /** The object, or undefined when the server says it is not there. */
  async find(path: string): Promise<Live | undefined> {
    try {
      return await this.get(path);
    } catch (error) {
      if ((error as { code?: number }).code === 404) return undefined;
      throw error;
    }
  }

  patch(path: string, body: unknown): Promise<Live> {
    const contentType = Array.isArray(body) ? 'application/json-patch+json' : 'application/merge-patch+json';
    return this.plane.adminFetch<Live>(path, { method: 'PATCH', contentType, body } as Live);
  }

  delete(path: string, propagationPolicy = 'Background'): Promise<Live> {
    const body = { apiVersion: 'v1', kind: 'DeleteOptions', propagationPolicy };
    return this.plane.adminFetch<Live>(path, { method: 'DELETE', body } as Live);
  }

  /** Deletes a mirror and waits until it is gone: its nodes are restored by then. */
  async deleteMirror(name: string): Promise<void> {
    const { mirror } = pathsOf(name);
    await this.delete(mirror);
    await eventually(
      async () => {
        if ((await this.find(mirror)) !== undefined) throw new Error('still there');
      },
      { timeout: 60_000, message: `Mirror ${name} was not let go` },
    );
  }

  /** Waits until the mirror's status names its newest generation; returns the mirror. */
  settled(name: string): Promise<Live> {
    return eventually(
      async () => {
        const mirror = await this.get(pathsOf(name).mirror);
        if (mirror.status?.observedGeneration !== mirror.metadata.generation) throw new Error('not settled');
        return mirror;
      },
      { message: `Mirror ${name} did not settle` },
    );
  }

  /** Waits until the condition has this reason; returns it. */
  condition(name: string, type: string, reason: string): Promise<Live> {
    return eventually(
      async () => {
        const { status } = await this.get(pathsOf(name).mirror);
        const condition = status?.conditions?.find((one: Live) => one.type === type);
        if (condition?.reason !== reason) throw new Error(`${type} is ${condition?.reason}`);
        return condition;
      },
      { message: `Mirror ${name} did not become ${type} ${reason}` },
    );
  }

  /** Warning events about a mirror, by reason. */
  async warnings(name: string): Promise<Live[]> {
    const selector = `fieldSelector=involvedObject.name=${name},type=Warning`;
    return (await this.get(`/api/v1/namespaces/default/events?${selector}`)).items;
  }

  /** Waits until no request was made for `ms`. */
  async quiet(ms = 700): Promise<void> {
    await eventually(async () => {
      const before = this.#busyRequests();
      await new Promise((resolve) => setTimeout(resolve, ms));
      if (this.#busyRequests() !== before) throw new Error('still busy');
    });
  }

  #busyRequests(): number {
    return this.proxy.requests.filter(({ path }) => !path.includes('/leases')).length;
  }

  /** The last words of every operator, for a test that failed. */
  lastWords(): string {
    return this.#operators
      .map((one) => one.log().slice(-3_000))
      .join('\n---\n')
      .slice(-6_000);
  }

  /** Ends every operator that runs in good order, so that the next need not wait for the lease. */
  async stopOperators(): Promise<void> {
    await Promise.all(this.#operators.filter((one) => one.running()).map((one) => one.stop()));
  }

  /** Kills every operator that runs. */
  async killOperators(): Promise<void> {
    await Promise.all(this.#operators.filter((one) => one.running()).map((one) => one.kill()));
  }

  /** Ends everything; rejects when a secret was told by anybody. */
  async end(): Promise<void> {
    await this.killOperators();
    const output = this.#operators.map((one) => one.log()).join('');
    try {
      await assertClusterTellsNoSecrets((path) => this.get(path), output);
    } finally {
      await this.proxy.close();
      await this.plane.stop();
    }
  }
}

/** Starts a world; whoever starts it ends it. */
export async function startWorld(
  options: ControlPlaneOptions & { withoutCrd?: boolean } = {},
): Promise<World> {
  const plane = await startControlPlane(options);
  try {
    if (!options.withoutCrd) await plane.applyCrd(crdFile);
    return new World(plane, await startCountingProxy(plane));
  } catch (error) {
    await plane.stop();
    throw error;
  }
}

/** Stands in for kubelets: every DaemonSet has `nodes` nodes, `ready` of which report ready with each new template. */
export function fakeNodes(
  t: ExecutionContext,
  world: World,
  nodes: number,
  ready = nodes,
  namespace = 'default',
): void {
  let stopped = false;
  t.teardown(() => {
    stopped = true;
  });
  void (async () => {
    while (!stopped) {
      await reportNodes(world, nodes, ready, namespace).catch(() => undefined);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  })();
}

async function reportNodes(world: World, nodes: number, ready: number, namespace: string): Promise<void> {
  const path = `/apis/apps/v1/namespaces/${namespace}/daemonsets`;
  for (const set of (await world.get(path)).items) {
    if (set.status.observedGeneration === set.metadata.generation) continue;
    await world.patch(`${path}/${set.metadata.name}/status`, {
      status: {
        observedGeneration: set.metadata.generation,
        desiredNumberScheduled: nodes,
        currentNumberScheduled: nodes,
        updatedNumberScheduled: nodes,
        numberMisscheduled: 0,
        numberReady: ready,
      },
    });
  }
}
