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

export class ClaimGrowth {
  readonly #client: KubeClient;
  readonly #logger: Logger;
  readonly #refused = new Map<string, { obstacle: Obstacle; until: number }>();

  constructor(client: KubeClient, logger: Logger) {
    this.#client = client;
    this.#logger = logger;
  }

  /** Asks for every growth and returns what was refused: whether a class allows expansion is the server's to say. */
  async grow(growths: readonly Growth[], signal: AbortSignal): Promise<Obstacle[]> {
    const obstacles: Obstacle[] = [];
    for (const growth of growths) {
      const obstacle = this.#remembered(growth) ?? (await this.#ask(growth, signal));
      if (obstacle !== undefined) obstacles.push(obstacle);
    }
    return obstacles.slice(0, 1);
  }

  #remembered(growth: Growth): Obstacle | undefined {
    const refused = this.#refused.get(identity(growth));
    return refused !== undefined && refused.until > performance.now() ? refused.obstacle : undefined;
  }

  async #ask(growth: Growth, signal: AbortSignal): Promise<Obstacle | undefined> {
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
      this.#refused.set(identity(growth), { obstacle, until: performance.now() + askAgainMs });
      return obstacle;
    }
  }
}

function identity({ claim, storage }: Growth): string {
  return `${claim.metadata.uid ?? keyOf(claim)} ${storage}`;
}
