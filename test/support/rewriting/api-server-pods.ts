/** Pods as a real API server would make and change them, whoever rewrites there. */
import type { ControlPlane } from '../control-plane.ts';
import type { Pod, Update } from './engine.ts';

// biome-ignore lint/suspicious/noExplicitAny: objects of every kind, as they are sent.
type Any = any;

const optOut = 'k8s.twr.io/imageswap';

export class ApiServerPods {
  readonly #plane: ControlPlane;
  #made = 0;

  constructor(plane: ControlPlane) {
    this.#plane = plane;
  }

  /** Nothing is stored. */
  create(namespace: string, pod: Pod): Promise<Pod> {
    return this.#post(namespace, pod, '?dryRun=All');
  }

  /** The stored pod is made with an opt-out, so that it is as the test wants it. */
  async update({ namespace, before, after, subresource }: Update): Promise<Pod> {
    const hidden = { ...before.metadata, labels: { ...before.metadata?.labels, [optOut]: 'disabled' } };
    // The API server takes ephemeral containers only later.
    const { ephemeralContainers, ...spec } = before.spec;
    const made = (await this.#post(namespace, { ...before, metadata: hidden, spec }, '')) as Any;
    const path = `/api/v1/namespaces/${namespace}/pods/${made.metadata.name}`;
    if (ephemeralContainers !== undefined)
      await this.#change(path, '/ephemeralcontainers', (pod) =>
        Object.assign(pod.spec, { ephemeralContainers }),
      );
    await this.#change(path, '', (pod) => delete pod.metadata.labels[optOut]);
    return this.#change(path, `${subresource === undefined ? '' : `/${subresource}`}?dryRun=All`, (pod) =>
      edit(pod, after),
    );
  }

  #post(namespace: string, pod: Pod, query: string): Promise<Pod> {
    this.#made += 1;
    const body = {
      apiVersion: 'v1',
      kind: 'Pod',
      ...pod,
      metadata: { ...pod.metadata, name: `pod-${this.#made}` },
    };
    return this.#plane.adminFetch<Any>(`/api/v1/namespaces/${namespace}/pods${query}`, {
      method: 'POST',
      body,
    });
  }

  async #change(path: string, rest: string, change: (pod: Any) => unknown): Promise<Pod> {
    const pod = await this.#plane.adminFetch<Any>(path);
    change(pod);
    const [subresource = '', query] = rest.split('?');
    return this.#plane.adminFetch<Any>(`${path}${subresource}${query === undefined ? '' : `?${query}`}`, {
      method: 'PUT',
      body: pod,
    });
  }
}

/** Puts into a stored pod what the test sends: images, metadata. */
function edit(stored: Any, { metadata, spec }: Pod): void {
  stored.metadata.labels = { ...metadata?.labels };
  stored.metadata.annotations = { ...metadata?.annotations };
  for (const list of ['containers', 'initContainers', 'ephemeralContainers'] as const) {
    const wanted = spec[list] ?? [];
    const existing = new Map((stored.spec[list] ?? []).map((each: Any) => [each.name, each]));
    if (wanted.length > 0)
      stored.spec[list] = wanted.map((each) => ({
        ...(existing.get(each.name) as object | undefined),
        ...each,
      }));
  }
}
