/** RewriteRules as objects: a rule set, and what is said of it. Pure. */
import type { RewriteEngineInForce, RewriteRulesStatus, RuleSet } from '../../../api/rewrite-rules.ts';
import { rewriteRulesApiVersion, rewriteRulesKind } from '../../../api/rewrite-rules-kind.ts';
import type { KubeObject } from '../../../kube/object.ts';
import { ourLabels } from './names.ts';

/** What is said of a rule set. */
export interface Standing {
  readonly engine: RewriteEngineInForce;
  /** How many rules are in force. */
  readonly rules: number;
  /** CamelCase, stable; of condition `ByPolicy`. */
  readonly reason: string;
  /** Why this engine, for people. */
  readonly message: string;
}

/** One RewriteRules object as it should be. */
export interface Parameters {
  readonly namespace: string;
  readonly name: string;
  /** Only where the policy applies them. */
  readonly rules?: RuleSet;
  readonly standing: Standing;
}

/** The object without its status. */
export function parametersObject({ namespace, name, rules, standing: { engine } }: Parameters): KubeObject {
  return {
    ...headOf(namespace, name),
    metadata: { namespace, name, labels: ourLabels },
    spec: { engine, ...(rules && { rules }) },
  };
}

/** The object with nothing but its status. `now` is RFC 3339; it is said only of what changed. */
export function statusObject(
  live: KubeObject,
  { engine, rules, reason, message }: Standing,
  now: string,
): KubeObject {
  const { namespace = '', name, uid, generation } = live.metadata;
  const before = (live['status'] as RewriteRulesStatus | undefined)?.conditions?.find(
    ({ type }) => type === 'ByPolicy',
  );
  const status = engine === 'policy' ? 'True' : 'False';
  const lastTransitionTime = before?.status === status ? before.lastTransitionTime : now;
  const observed = generation === undefined ? {} : { observedGeneration: generation };
  const condition = { type: 'ByPolicy', status, reason, message, lastTransitionTime, ...observed };
  return {
    ...headOf(namespace, name),
    // With the uid: what was deleted meanwhile is not made again.
    metadata: { namespace, name, ...(uid !== undefined && { uid }) },
    status: { ...observed, engine, rules, reason: message, conditions: [condition] },
  };
}

function headOf(namespace: string, name: string): KubeObject {
  return { apiVersion: rewriteRulesApiVersion, kind: rewriteRulesKind.kind, metadata: { namespace, name } };
}
