/** Grows claims one by one; what the server refuses is an obstacle and is not asked again at every pass. */
import { fieldManager } from '../../api/names.ts';
import type { KubeClient } from '../../kube/client.ts';
import { ApiError } from '../../kube/errors.ts';
import { keyOf, parseKey } from '../../kube/object.ts';
import type { Logger } from '../../observe/log.ts';
import { persistentVolumeClaims } from '../resource-types.ts';
import type { Growth } from './claims.ts';
import type { Obstacle } from './finding.ts';

/** A storage class may have been made expandable meanwhile. */
const askAgainMs = 600_000;

interface Refusal {
  readonly obstacle: Obstacle;
  /** Not asked again before, in milliseconds since the epoch. */
  readonly until: number;
}

/** What was refused, and when to ask again, in milliseconds since the epoch. */
export interface GrowthResult {
  readonly obstacles: readonly Obstacle[];
  readonly checkAt?: number;
}

export class ClaimGrowth {
  readonly #client: KubeClient;
  readonly #logger: Logger;
  readonly #now: () => number;
  readonly #refused = new Map<string, Refusal>();

  constructor(client: KubeClient, logger: Logger, now: () => number = () => Date.now()) {
    this.#client = client;
    this.#logger = logger;
    this.#now = now;
  }

  /** Asks for every growth and returns what was refused: whether a class allows expansion is the server's to say. */
  async grow(growths: readonly Growth[], signal: AbortSignal): Promise<GrowthResult> {
    const refusals: Refusal[] = [];
    for (const growth of growths) {
      const refusal = this.#remembered(growth) ?? (await this.#ask(growth, signal));
      if (refusal !== undefined) refusals.push(refusal);
    }
    const [first] = refusals;
    if (first === undefined) return { obstacles: [] };
    return { obstacles: [first.obstacle], checkAt: Math.min(...refusals.map(({ until }) => until)) };
  }

  #remembered(growth: Growth): Refusal | undefined {
    const refused = this.#refused.get(identity(growth));
    return refused !== undefined && refused.until > this.#now() ? refused : undefined;
  }

  async #ask(growth: Growth, signal: AbortSignal): Promise<Refusal | undefined> {
    const { claim, storage } = growth;
    const patch = { spec: { resources: { requests: { storage } } } };
    const options = { contentType: 'merge', fieldManager, signal } as const;
    const object = keyOf(claim);
    try {
      await this.#client.patch(persistentVolumeClaims, parseKey(object), patch, options);
      this.#refused.delete(identity(growth));
      this.#logger.info({ object, storage }, 'Asked for a larger volume');
      return undefined;
    } catch (error) {
      if (!(error instanceof ApiError && (error.forbidden || error.invalid))) throw error;
      const message = `Claim ${object} cannot grow to ${storage}: ${error.message}`;
      const obstacle = { reason: 'StorageCannotGrow', message };
      const refusal = { obstacle, until: this.#now() + askAgainMs };
      this.#refused.set(identity(growth), refusal);
      return refusal;
    }
  }
}

function identity({ claim, storage }: Growth): string {
  return `${claim.metadata.uid ?? keyOf(claim)} ${storage}`;
}
