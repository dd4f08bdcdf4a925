/** Pods of a cluster, for tests: waiting until they are Ready, what they wrote, commands in them. */
import { text } from 'node:stream/consumers';
import { createClient } from '../../src/kube/client.ts';
import { loadConnection } from '../../src/kube/connection.ts';
import type { AdminClient } from '../kubernetes/admin-client.ts';
import type { KubeObject } from '../kubernetes/api-request.ts';
import { eventually } from '../support/eventually.ts';

export interface PodObject extends KubeObject {
  spec: { nodeName?: string; containers: { name: string }[] };
  status: {
    phase?: string;
    podIP?: string;
    conditions?: { type: string; status: string; message?: string }[];
    containerStatuses?: {
      name: string;
      restartCount: number;
      imageID: string;
      containerID?: string;
      state: object;
    }[];
  };
}

/** Which pods: a label selector; namespace `default` when none is named. */
export interface PodSelection {
  readonly namespace?: string;
  readonly labels: string;
}

/** One pod; its first container when none is named. */
export interface PodName {
  readonly namespace?: string;
  readonly name: string;
  readonly container?: string;
}

export class Pods {
  readonly #admin: AdminClient;
  readonly #kubeconfigPath: string;

  constructor(admin: AdminClient, kubeconfigPath: string) {
    this.#admin = admin;
    this.#kubeconfigPath = kubeconfigPath;
  }

  async list({ namespace = 'default', labels }: PodSelection): Promise<PodObject[]> {
    const query = new URLSearchParams({ labelSelector: labels });
    const path = `/api/v1/namespaces/${namespace}/pods?${query}`;
    return (await this.#admin.adminFetch<{ items: PodObject[] }>(path)).items;
  }

  /** Waits until exactly `count` pods are selected and all of them are Ready; returns them. `timeout` in ms. */
  async waitFor(selection: PodSelection & { count: number }, timeout = 60_000): Promise<PodObject[]> {
    const { namespace = 'default', labels, count } = selection;
    const message = `${count} pods ${labels} in ${namespace} were not Ready`;
    return await eventually(
      async () => {
        const pods = await this.list(selection);
        if (pods.length === count && pods.every(isReady)) return pods;
        throw new Error(JSON.stringify(pods.map(summary), null, 1));
      },
      { timeout, interval: 200, message },
    );
  }

  /** What a container has written. */
  async log({ namespace = 'default', name, container }: PodName): Promise<string> {
    const query = container === undefined ? '' : `?container=${container}`;
    const path = `/api/v1/namespaces/${namespace}/pods/${name}/log${query}`;
    return String(await this.#admin.adminFetch<unknown>(path));
  }

  /** Runs a command in a container, through the API server, to its end. */
  async exec(
    { namespace = 'default', name, container }: PodName,
    command: readonly string[],
  ): Promise<{ code: number; stdout: string; stderr: string }> {
    const connection = await loadConnection({ kubeconfigPath: this.#kubeconfigPath });
    const client = createClient(connection, { userAgent: 'test' });
    try {
      const first = container ?? (await this.#firstContainer(namespace, name));
      const run = await client.exec({ pod: { namespace, name }, container: first, command });
      const [code, stdout] = await Promise.all([run.exitCode, text(run.stdout)]);
      return { code, stdout, stderr: run.stderr() };
    } finally {
      await client.close();
    }
  }

  async #firstContainer(namespace: string, name: string): Promise<string> {
    const pod = await this.#admin.adminFetch<PodObject>(`/api/v1/namespaces/${namespace}/pods/${name}`);
    return pod.spec.containers[0]?.name ?? '';
  }
}

function isReady({ metadata, status }: PodObject): boolean {
  const ready = status.conditions?.find(({ type }) => type === 'Ready');
  return ready?.status === 'True' && metadata['deletionTimestamp'] === undefined;
}

/** What of a pod that is not Ready says why. */
function summary({ metadata, spec, status }: PodObject): object {
  const unmet = status.conditions?.filter((condition) => condition.status !== 'True');
  const states = status.containerStatuses?.map(({ name, state }) => ({ name, state }));
  return { name: metadata.name, node: spec.nodeName, phase: status.phase, unmet, states };
}
