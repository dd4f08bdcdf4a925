/** The status of an ImageMap, as kubernetes-image-mapper writes it. Pure. */

import type { ImageMapCondition, ImageMapStatus } from '../../api/image-map.ts';
import { timestamp } from '../../api/timestamp.ts';
import type { KubeObject } from '../../kube/object.ts';

/** An ImageMap as the API server has it; what stored it may have known no schema. */
export interface StoredImageMap extends KubeObject {
  readonly status?: Partial<ImageMapStatus>;
}

/** What the rules found of one generation of a map; `rejected` is why it is not in force. */
export interface MapVerdict {
  readonly generation: number | undefined;
  readonly rejected?: string | undefined;
}

/** Twice a condition's message elsewhere; a map with 20,000 collisions would else outgrow what can be stored. */
const longestMessage = 65_536;

/** The condition that a verdict becomes; without a message where the map is in force, which is what the original's users compare. */
export function readyCondition({ rejected }: MapVerdict, now: Date): ImageMapCondition {
  const observationTime = timestamp(now);
  if (rejected === undefined) return { type: 'Ready', status: 'True', observationTime };
  const message = rejected.length > longestMessage ? `${rejected.slice(0, longestMessage - 1)}…` : rejected;
  return { type: 'Ready', status: 'False', observationTime, message };
}

/** The condition Ready that is stored. */
export function storedReady({ status }: StoredImageMap): ImageMapCondition | undefined {
  return conditionsOf(status).find(({ type }) => type === 'Ready');
}

/** True where both say the same; when it was found does not count. */
export function saysTheSame(one: ImageMapCondition | undefined, other: ImageMapCondition): boolean {
  return one?.status === other.status && (one.message ?? '') === (other.message ?? '');
}

/** The status to write; undefined where the stored one says the same already. Conditions of others stay. */
export function newStatus(
  { status }: StoredImageMap,
  { generation }: MapVerdict,
  ready: ImageMapCondition,
): ImageMapStatus | undefined {
  const conditions = conditionsOf(status);
  const known = conditions.filter(({ type }) => type === 'Ready');
  if (status?.observedGeneration === generation && known.length === 1 && saysTheSame(known[0], ready))
    return undefined;
  const others = conditions.filter(({ type }) => type !== 'Ready');
  return {
    ...(generation !== undefined && { observedGeneration: generation }),
    conditions: [...others, ready],
  };
}

function conditionsOf(status: StoredImageMap['status']): readonly ImageMapCondition[] {
  return Array.isArray(status?.conditions) ? status.conditions : [];
}
