/** The conditions of a RegistryMirror: types, and the reasons each may give. Pure; anybody may import it. */
import type { Condition } from './registry-mirror.ts';

/** Every condition type, in the order in which status lists them. */
export const conditionTypes = [
  'Ready',
  'CacheAvailable',
  'CacheWritable',
  'UpstreamReachable',
  'CredentialsValid',
  'CertificateValid',
  'NodesWired',
  'InUse',
  'Reconciling',
  'Stalled',
] as const;

/** Of `NodesWired` while nodes are taken back: the operator and `uninstall` go by it. */
export const restoringReason = 'Restoring';

export type ConditionType = (typeof conditionTypes)[number];

/** One aspect as a phase finds it; status adds the transition time and the generation. */
export interface ConditionFinding {
  readonly type: ConditionType;
  readonly status: Condition['status'];
  /** CamelCase, stable: what alerts and tests compare. */
  readonly reason: string;
  /** For people; names the remedy where there is one. */
  readonly message: string;
}

/** Returns the condition of `type`, or undefined where it was never found. */
export function findCondition(
  conditions: readonly Condition[] | undefined,
  type: ConditionType,
): Condition | undefined {
  return conditions?.find((condition) => condition.type === type);
}

/** True when the condition `type` is there and `True`. */
export function isConditionTrue(conditions: readonly Condition[] | undefined, type: ConditionType): boolean {
  return findCondition(conditions, type)?.status === 'True';
}

/**
 * Returns the conditions of the new status: found ones with their transition time kept where the status did not
 * change, `now` (RFC 3339) where it did; types that were not found are left out; `conditionTypes`' order.
 */
export function mergeConditions(
  previous: readonly Condition[] | undefined,
  findings: readonly ConditionFinding[],
  at: { readonly now: string; readonly generation?: number },
): Condition[] {
  return conditionTypes.flatMap((type) => {
    const finding = findings.find((candidate) => candidate.type === type);
    if (!finding) return [];
    const before = findCondition(previous, type);
    const lastTransitionTime = before?.status === finding.status ? before.lastTransitionTime : at.now;
    const generation = at.generation === undefined ? {} : { observedGeneration: at.generation };
    return [{ ...finding, lastTransitionTime, ...generation }];
  });
}

/** What a condition of this type was found to be, where it is among the stored ones. */
export function storedFinding(
  conditions: readonly Condition[] | undefined,
  type: ConditionType,
): ConditionFinding | undefined {
  const found = findCondition(conditions, type);
  if (found === undefined) return undefined;
  const { status, reason, message } = found;
  return { type, status, reason, message };
}
