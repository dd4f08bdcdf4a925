/** Writes RewriteRules, and what is said of them: only where they are not as they should be. */

import { fieldManager } from '../../../api/names.ts';
import { rewriteRulesKind } from '../../../api/rewrite-rules-kind.ts';
import { timestamp } from '../../../api/timestamp.ts';
import type { KubeClient } from '../../../kube/client.ts';
import { ApiError } from '../../../kube/errors.ts';
import { type KubeObject, keyOf, parseKey } from '../../../kube/object.ts';
import type { Logger } from '../../../observe/log.ts';
import type { OwnerReference } from '../../../resources/object.ts';
import type { LiveView } from '../../live-view.ts';
import { type Parameters, parametersObject, statusObject } from './parameters.ts';
import { digestField, digestOf, prepared } from './policy-views.ts';

export interface ParameterKeeperOptions {
  readonly client: KubeClient;
  readonly view: LiveView;
  readonly logger: Logger;
  readonly now?: () => Date;
}

export class ParameterKeeper {
  readonly #options: ParameterKeeperOptions;

  constructor(options: ParameterKeeperOptions) {
    this.#options = options;
  }

  /** Makes the object as it should be, without its status. Throws what the API server says, unless the namespace is going. */
  async apply(parameters: Parameters, owner: readonly OwnerReference[], signal: AbortSignal): Promise<void> {
    const { client, view, logger } = this.#options;
    const desired = withOwner(parametersObject(parameters), owner);
    const key = keyOf(desired);
    if (isAsDesired(view.get(key), desired)) return;
    const applied = await client
      .apply(rewriteRulesKind, desired, { fieldManager, force: true, signal })
      .catch(undefinedIfGoing);
    if (applied === undefined) return;
    view.written(prepared(applied));
    logger.info({ object: key, rules: parameters.standing.rules }, 'Applied rewrite rules');
  }

  /** Says what is to be said of it, if it is there and does not say so yet. */
  async say(parameters: Parameters, signal: AbortSignal): Promise<void> {
    const { client, view, now = () => new Date() } = this.#options;
    const live = view.get(keyOf({ metadata: parameters }));
    if (live === undefined) return;
    const desired = statusObject(live, parameters.standing, timestamp(now()));
    if (digestOf(live['status']) === digestOf(desired['status'])) return;
    const options = { fieldManager, force: true, subresource: 'status', signal };
    const applied = await client.apply(rewriteRulesKind, desired, options).catch(undefinedIfGoing);
    if (applied !== undefined) view.written(prepared(applied));
  }

  /** Deletes those of ours that are not among the wanted ones. */
  async deleteOthers(wanted: readonly Parameters[], signal: AbortSignal): Promise<void> {
    const { client, view, logger } = this.#options;
    const keys = new Set(wanted.map((parameters) => keyOf({ metadata: parameters })));
    for (const live of view.list()) {
      const key = keyOf(live);
      if (keys.has(key) || view.get(key) === undefined) continue;
      const { uid } = live.metadata;
      const preconditions = uid === undefined ? {} : { preconditions: { uid } };
      await client.delete(rewriteRulesKind, parseKey(key), { ...preconditions, signal });
      view.sawOff(live);
      logger.info({ object: key }, 'Deleted rewrite rules');
    }
  }
}

/** With who owns what is made outside the operator's namespace. */
export function withOwner(object: KubeObject, owner: readonly OwnerReference[]): KubeObject {
  return owner.length === 0
    ? object
    : { ...object, metadata: { ...object.metadata, ownerReferences: [...owner] } };
}

function isAsDesired(live: KubeObject | undefined, desired: KubeObject): boolean {
  if (live === undefined) return false;
  const spec = live['spec'] as Readonly<Record<string, unknown>>;
  const { labels = {}, ownerReferences = [] } = desired.metadata;
  return (
    spec[digestField] === digestOf(desired['spec']) &&
    Object.entries(labels).every(([key, value]) => live.metadata.labels?.[key] === value) &&
    ownerReferences.every(({ uid }) => live.metadata.ownerReferences?.some((each) => each.uid === uid))
  );
}

/** A namespace that is deleted takes nothing new, and will be no namespace with ImageMaps soon. */
function undefinedIfGoing(error: unknown): undefined {
  const isGoing =
    error instanceof ApiError &&
    (error.causes.some(({ reason }) => reason === 'NamespaceTerminating') ||
      (error.notFound && error.reason === 'NotFound'));
  if (!isGoing) throw error;
}
