/**
 * What of a plan is not done yet: the policy gives no namespace up before the webhook has taken it on, because nobody would rewrite there meanwhile.
 * All others go on. Pure.
 */
import type { KubeObject } from '../../../kube/object.ts';
import type { Routing } from '../routing.ts';
import { bindingNames, policyName } from './names.ts';
import type { Parameters } from './parameters.ts';
import type { Plan } from './plan.ts';
import { boundNamespaces, exceptedNamespaces, withNamespaces, withoutExceptions } from './policy-object.ts';

export interface HeldPlan extends Plan {
  /** Those of its parameters that are neither written nor deleted. */
  readonly left: readonly Parameters[];
}

/**
 * Takes the namespaces that the webhook has taken on, and the bindings that there are, by name. A namespace keeps what binds it now, be it rules of its
 * own or those of all others; one that nothing binds is left to the webhook at once. Undefined: nothing may be done, as everything is to be given up.
 */
export function holdBack(
  plan: Plan,
  covered: Routing['webhook'],
  live: (name: string) => KubeObject | undefined,
): HeldPlan | undefined {
  const { webhook } = plan.routing;
  if (covered === 'all') return { ...plan, left: [] };
  const own = live(bindingNames.own);
  const others = [live(bindingNames.all), live(bindingNames.labelled)].filter((each) => each !== undefined);
  if (webhook === 'all') return own === undefined && others.length === 0 ? { ...plan, left: [] } : undefined;
  const uncovered = webhook.filter((name) => !covered.includes(name));
  const bound = own === undefined ? [] : boundNamespaces(own);
  const keptOwn = uncovered.filter((name) => bound.includes(name));
  const keptAsOthers = uncovered.filter(
    (name) => !bound.includes(name) && others.some((each) => !exceptedNamespaces(each).includes(name)),
  );
  const kept = [...keptOwn, ...keptAsOthers];
  return {
    ...plan,
    bindings: [...ownBindings(plan, own, keptOwn), ...otherBindings(plan, keptAsOthers)],
    left: plan.parameters.filter(({ name, namespace }) => name === policyName && kept.includes(namespace)),
  };
}

function isOwn({ metadata }: KubeObject): boolean {
  return metadata.name === bindingNames.own;
}

/** At most one. */
function ownBindings(
  { bindings }: Plan,
  live: KubeObject | undefined,
  kept: readonly string[],
): readonly KubeObject[] {
  const planned = bindings.find(isOwn);
  const binding = planned ?? live;
  if (binding === undefined || kept.length === 0) return planned === undefined ? [] : [planned];
  return [withNamespaces(binding, [...(planned === undefined ? [] : boundNamespaces(planned)), ...kept])];
}

function otherBindings({ bindings }: Plan, kept: readonly string[]): readonly KubeObject[] {
  return bindings.filter((binding) => !isOwn(binding)).map((binding) => withoutExceptions(binding, kept));
}
