/** Which pods there have been: those of a selection, looked at all the time until it is ended. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Cluster } from '../cluster/cluster.ts';
import type { PodObject } from '../cluster/pods.ts';

const often = 200;

export class PodHistory {
  readonly #seen = new Map<string, PodObject>();
  readonly #ended = new AbortController();
  readonly #looking: Promise<void>;

  constructor(cluster: Cluster, labels: string) {
    this.#looking = this.#look(cluster, labels);
    // A test that fails before it asks is told of its own failure.
    this.#looking.catch(() => undefined);
  }

  /** Every pod that was seen, as it was last. */
  pods(): PodObject[] {
    return [...this.#seen.values()];
  }

  /** Rejects where the API server once did not answer: a pod could have been missed. */
  async end(): Promise<void> {
    this.#ended.abort();
    await this.#looking;
  }

  async #look(cluster: Cluster, labels: string): Promise<void> {
    while (!this.#ended.signal.aborted) {
      for (const pod of await cluster.pods.list({ labels })) this.#seen.set(String(pod.metadata['uid']), pod);
      await sleep(often);
    }
  }
}

/** How many pods each place has had: a name of a StatefulSet, a node of a DaemonSet. */
export function countByPlace(pods: readonly PodObject[]): Record<string, number> {
  const places = pods.map(({ metadata, spec }) => {
    const [owner] = metadata['ownerReferences'] as { kind: string; name: string }[];
    return owner?.kind === 'DaemonSet' ? `${owner.name} on ${spec.nodeName}` : metadata.name;
  });
  const counted: Record<string, number> = {};
  for (const place of places) counted[place] = (counted[place] ?? 0) + 1;
  return counted;
}

/** Which pod it is, and how often its containers were started. */
export function incarnation({ metadata, status }: PodObject): string {
  const restarts = status.containerStatuses?.map(({ restartCount }) => restartCount) ?? [];
  return `${metadata.name} ${metadata['uid']} ${restarts}`;
}
