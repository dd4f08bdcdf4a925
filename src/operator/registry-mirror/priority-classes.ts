/** Whether priority classes exist: asked only when a mirror names one, and remembered. */
import type { KubeClient } from '../../kube/client.ts';
import { ApiError } from '../../kube/errors.ts';
import { priorityClasses } from '../resource-types.ts';

/** A class that exists is hardly ever deleted; one that is missing is awaited. */
const rememberMs = { present: 600_000, absent: 15_000 } as const;

export class PriorityClasses {
  readonly #client: KubeClient;
  readonly #known = new Map<string, { exists: boolean; until: number }>();

  constructor(client: KubeClient) {
    this.#client = client;
  }

  /** False only when the server says so: an installation whose RBAC forbids the question loses nothing. */
  async exists(name: string, signal: AbortSignal): Promise<boolean> {
    const known = this.#known.get(name);
    if (known !== undefined && known.until > performance.now()) return known.exists;
    const exists = await this.#ask(name, signal);
    const ms = exists ? rememberMs.present : rememberMs.absent;
    this.#known.set(name, { exists, until: performance.now() + ms });
    return exists;
  }

  async #ask(name: string, signal: AbortSignal): Promise<boolean> {
    try {
      return (await this.#client.getOrUndefined(priorityClasses, { name }, { signal })) !== undefined;
    } catch (error) {
      if (error instanceof ApiError && error.forbidden) return true;
      throw error;
    }
  }
}
