/** Applies objects one after the other; one that the server refuses does not keep the others from being made. */
import { ApiError } from '../../kube/errors.ts';
import { type KubeObject, keyOf } from '../../kube/object.ts';
import { WaitingError } from '../../observe/errors.ts';
import type { Applier } from './apply.ts';
import type { Obstacle } from './finding.ts';

/** What an old installation's RBAC does not know of; mirrors work without it. */
const optionalKinds = ['PodDisruptionBudget'];

export class ObjectsPass {
  readonly #applier: Applier;
  readonly #obstacles: Obstacle[] = [];
  #failure: unknown;
  #missingRights: ApiError | undefined;

  constructor(applier: Applier) {
    this.#applier = applier;
  }

  /** What was refused for good: a person must change the mirror, a quota or the operator's rights. */
  get obstacles(): readonly Obstacle[] {
    return this.#obstacles;
  }

  /** Set when something was forbidden, as quotas and rights change without an event, or is to be written later. */
  get failure(): unknown {
    return this.#failure;
  }

  /** Set when the operator has no rights to a kind that mirrors work without. */
  get missingRights(): ApiError | undefined {
    return this.#missingRights;
  }

  /**
   * False where the server refused, or somebody undoes what is written. Throws what says nothing about this object: no connection, a busy server, a
   * conflict.
   */
  async apply(object: KubeObject, signal: AbortSignal): Promise<boolean> {
    try {
      await this.#applier.apply(object, signal);
      return true;
    } catch (error) {
      if (optionalKinds.includes(object.kind) && error instanceof ApiError && error.lacksRights) {
        this.#missingRights = error;
        return false;
      }
      if (error instanceof WaitingError) {
        this.#failure ??= error;
        return false;
      }
      const refusal = refusalOf(error, `${object.kind} ${keyOf(object)}`);
      if (refusal === undefined) throw error;
      this.#obstacles.push(...refusal.obstacles);
      this.#failure ??= refusal.failure;
      return false;
    }
  }
}

/** What a refused write means; undefined where the server did not refuse. Quotas and rights change without an event. */
export function refusalOf(
  error: unknown,
  what?: string,
): { readonly obstacles: readonly Obstacle[]; readonly failure?: unknown } | undefined {
  if (!(error instanceof ApiError && (error.invalid || error.forbidden))) return undefined;
  const reason = error.forbidden ? 'ObjectForbidden' : 'ObjectRefused';
  const message = what === undefined ? error.message : `${what}: ${error.message}`;
  return { obstacles: [{ reason, message }], ...(error.forbidden && { failure: error }) };
}
