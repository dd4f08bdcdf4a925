/**
 * What the cluster should have for rewriting by policy: the policy, its bindings, one set of parameters for each namespace with ImageMaps and one or
 * two for all others, and who rewrites where. Pure; the main file of this folder.
 *
 * Policies run before webhooks, so rules of one namespace are never split between them. A set that cannot be a policy's is the webhook's as a whole;
 * if that is the set for all other namespaces, everything is.
 */
import { imageswapLabel } from '../../../api/rewrite-selectors.ts';
import type { RewriteSettings } from '../../../api/rewrite-settings.ts';
import type { RuleTable, SourceName } from '../../../image/rules/table.ts';
import type { KubeObject } from '../../../kube/object.ts';
import { namespaceScope } from '../../../rewriting/scope.ts';
import type { Routing } from '../routing.ts';
import { type CompiledRules, compileRuleSet } from './compile.ts';
import { clusterNames, policyName } from './names.ts';
import type { Parameters, Standing } from './parameters.ts';
import { clusterBinding, ownBinding, type PolicyVersion, policyObject } from './policy-object.ts';

/** A namespace that is not being deleted. */
export interface NamespaceLabels {
  readonly name: string;
  readonly labels?: Readonly<Record<string, string>> | undefined;
}

export interface PlanInputs {
  readonly table: RuleTable;
  readonly namespaces: readonly NamespaceLabels[];
  readonly settings: RewriteSettings;
  /** The newest version of MutatingAdmissionPolicy that the API server serves, or why there can be none. */
  readonly served: PolicyVersion | { readonly obstacle: string };
}

export interface Plan {
  readonly policy?: KubeObject;
  readonly bindings: readonly KubeObject[];
  readonly parameters: readonly Parameters[];
  readonly routing: Routing;
}

/** Returns the whole of it; the same inputs make the same objects. */
export function planPolicy(inputs: PlanInputs): Plan {
  const version = versionOf(inputs);
  const sets = ruleSets(inputs);
  if (typeof version === 'object') return onWebhook(sets, version);
  const fault = sets.cluster.find(({ compiled }) => 'unfit' in compiled)?.compiled;
  if (fault !== undefined && 'unfit' in fault) return onWebhook(sets, fault.unfit);
  return onPolicy(inputs, sets, version);
}

interface Obstacle {
  /** CamelCase, stable. */
  readonly reason: string;
  readonly message: string;
}

/** `auto` does not take a version that is off by default. */
function versionOf({ settings, served }: PlanInputs): PolicyVersion | Obstacle {
  if (settings.engine === 'webhook' || settings.engine === 'none')
    return { reason: 'Chosen', message: `REWRITE_ENGINE is ${settings.engine}` };
  if (typeof served === 'object') return { reason: 'NotServed', message: served.obstacle };
  if (settings.engine === 'auto' && served !== 'v1')
    return {
      reason: 'NotServed',
      message: `the API server serves MutatingAdmissionPolicy in ${served} only`,
    };
  return served;
}

/** The rules of one namespace, or of all without rules of their own. */
interface NamedSet {
  readonly namespace: string;
  readonly name: string;
  readonly compiled: CompiledRules;
  /** Why nothing of it is in force. */
  readonly optedOut?: string | undefined;
}

interface RuleSets {
  readonly own: readonly NamedSet[];
  /** First the one for namespaces without a label; the second only where others have other rules. */
  readonly cluster: readonly NamedSet[];
}

function ruleSets({ table, namespaces, settings }: PlanInputs): RuleSets {
  const withMaps = new Set((table.sources.imageMaps ?? []).map(({ namespace }) => namespace));
  const own = namespaces
    .filter(({ name }) => withMaps.has(name))
    .map(({ name, labels }): NamedSet => {
      const { sources, optedOut } = namespaceScope(name, labels, settings);
      const compiled = compileRuleSet(table, { namespace: name, sources });
      return { namespace: name, name: policyName, compiled, optedOut };
    })
    .sort((a, b) => (a.namespace < b.namespace ? -1 : 1));
  const sourcesFor = (labels: Record<string, string>) =>
    namespaceScope('', labels, settings).sources.filter(
      (source) => source !== 'imageMaps' && hasRules(table, source),
    );
  const [all, labelled] = [sourcesFor({}), sourcesFor({ [imageswapLabel]: 'enabled' })];
  const cluster = (which: keyof typeof clusterNames, sources: readonly SourceName[]): NamedSet => ({
    namespace: settings.namespace,
    name: clusterNames[which],
    compiled: compileRuleSet(table, { sources }),
  });
  const differ = all.length !== labelled.length;
  return { own, cluster: [cluster('all', all), ...(differ ? [cluster('labelled', labelled)] : [])] };
}

function hasRules({ sources }: RuleTable, source: SourceName): boolean {
  const found = sources[source];
  return Array.isArray(found) ? found.length > 0 : found !== undefined;
}

function onWebhook({ own, cluster }: RuleSets, { reason, message }: Obstacle): Plan {
  const parameters = [...cluster, ...own].map(({ namespace, name, compiled, optedOut }): Parameters => {
    const rules = optedOut === undefined ? compiled.count : 0;
    return {
      namespace,
      name,
      standing: { engine: 'webhook', rules, ...said(optedOut, { reason, message }) },
    };
  });
  return { bindings: [], parameters, routing: { engine: 'webhook', why: message, webhook: 'all' } };
}

function said(optedOut: string | undefined, otherwise: Obstacle): Obstacle {
  return optedOut === undefined ? otherwise : { reason: 'OptedOut', message: optedOut };
}

function onPolicy({ settings }: PlanInputs, { own, cluster }: RuleSets, version: PolicyVersion): Plan {
  const bound = own.filter(({ compiled, optedOut }) => optedOut === undefined && 'rules' in compiled);
  const webhook = own.filter(({ compiled, optedOut }) => optedOut === undefined && 'unfit' in compiled);
  const except = own.map(({ namespace }) => namespace);
  const names = bound.map(({ namespace }) => namespace);
  const byLabel = cluster.length > 1;
  const clusterBindings = cluster
    .filter(({ compiled }) => compiled.count > 0)
    .map(({ name }) => {
      const which = name === clusterNames.all ? 'all' : 'labelled';
      return clusterBinding({ which, namespace: settings.namespace, except, byLabel }, version);
    });
  const why = `the API server serves MutatingAdmissionPolicy in ${version}`;
  return {
    policy: policyObject(settings, version),
    bindings: [...(names.length > 0 ? [ownBinding(names, version)] : []), ...clusterBindings],
    parameters: [...cluster, ...own].map((set) => ({
      namespace: set.namespace,
      name: set.name,
      ...('rules' in set.compiled && set.optedOut === undefined && { rules: set.compiled.rules }),
      standing: standingOf(set, why),
    })),
    routing: { engine: 'policy', why, webhook: webhook.map(({ namespace }) => namespace) },
  };
}

function standingOf({ compiled, optedOut }: NamedSet, why: string): Standing {
  if (optedOut !== undefined) return { engine: 'policy', rules: 0, reason: 'OptedOut', message: optedOut };
  if ('unfit' in compiled) return { engine: 'webhook', rules: compiled.count, ...compiled.unfit };
  return { engine: 'policy', rules: compiled.count, reason: 'Compiled', message: why };
}
