/** The MutatingAdmissionPolicy and its bindings as objects. Pure. */

import { rewriteRulesApiVersion, rewriteRulesKind } from '../../../api/rewrite-rules-kind.ts';
import {
  exemptNamespace,
  imageswapLabel,
  namespaceNameLabel,
  rewrittenNamespaces,
  rewrittenObjects,
  type SelectorExpression,
} from '../../../api/rewrite-selectors.ts';
import type { RewriteSettings } from '../../../api/rewrite-settings.ts';
import type { KubeObject } from '../../../kube/object.ts';
import { matchCondition, patchExpression } from './admit-cel.ts';
import { decisionVariables } from './decide-cel.ts';
import { bindingNames, clusterNames, ourLabels, policyName } from './names.ts';

/** The version of admissionregistration.k8s.io that is used. */
export type PolicyVersion = 'v1' | 'v1beta1';

const group = 'admissionregistration.k8s.io';

/** Fails open in every way: what goes wrong with it leaves a pod as it is. */
export function policyObject(settings: RewriteSettings, version: PolicyVersion): KubeObject {
  return {
    apiVersion: `${group}/${version}`,
    kind: 'MutatingAdmissionPolicy',
    metadata: { name: policyName, labels: ourLabels },
    spec: {
      paramKind: { apiVersion: rewriteRulesApiVersion, kind: rewriteRulesKind.kind },
      failurePolicy: 'Ignore',
      reinvocationPolicy: 'Never',
      matchConstraints: {
        matchPolicy: 'Equivalent',
        namespaceSelector: { matchExpressions: rewrittenNamespaces() },
        objectSelector: { matchExpressions: rewrittenObjects(settings) },
        resourceRules: [
          {
            apiGroups: [''],
            apiVersions: ['v1'],
            operations: ['CREATE', 'UPDATE'],
            resources: ['pods', 'pods/ephemeralcontainers'],
            scope: 'Namespaced',
          },
        ],
      },
      matchConditions: [{ name: 'has-images-to-rewrite', expression: matchCondition(settings) }],
      variables: decisionVariables(),
      mutations: [{ patchType: 'JSONPatch', jsonPatch: { expression: patchExpression(settings) } }],
    },
  };
}

/** The namespaces that a binding of parameters of their own names; none where somebody else has written something else there. */
export function boundNamespaces(own: KubeObject): readonly string[] {
  return namesIn(own, 'In');
}

/** The namespaces that a binding of all others leaves out; none in the same case. */
export function exceptedNamespaces(others: KubeObject): readonly string[] {
  return namesIn(others, 'NotIn');
}

function namesIn(bound: KubeObject, which: SelectorExpression['operator']): readonly string[] {
  return (
    expressionsOf(bound).find(({ key, operator }) => key === namespaceNameLabel && operator === which)
      ?.values ?? []
  );
}

function expressionsOf({ spec }: KubeObject): readonly SelectorExpression[] {
  const { matchResources } = spec as {
    matchResources?: { namespaceSelector?: { matchExpressions?: readonly SelectorExpression[] } };
  };
  return matchResources?.namespaceSelector?.matchExpressions ?? [];
}

/** The same binding of these namespaces only. */
export function withNamespaces(own: KubeObject, namespaces: readonly string[]): KubeObject {
  const [, version] = own.apiVersion.split('/');
  return ownBinding(namespaces, version as PolicyVersion);
}

/** The same binding of all others, of these namespaces too. Takes one that was made here. */
export function withoutExceptions(others: KubeObject, namespaces: readonly string[]): KubeObject {
  const expressions = expressionsOf(others).map((expression) =>
    expression.key === namespaceNameLabel
      ? { ...expression, values: expression.values.filter((name) => !namespaces.includes(name)) }
      : expression,
  );
  const spec = others['spec'] as { readonly matchResources: object };
  const matchResources = { ...spec.matchResources, namespaceSelector: { matchExpressions: expressions } };
  return { ...others, spec: { ...spec, matchResources } };
}

/** Binds namespaces to the parameters that each of them has. */
export function ownBinding(namespaces: readonly string[], version: PolicyVersion): KubeObject {
  const expressions: SelectorExpression[] = [
    { key: namespaceNameLabel, operator: 'In', values: [...namespaces].sort() },
  ];
  return binding(bindingNames.own, { name: policyName }, expressions, version);
}

export interface ClusterBinding {
  readonly which: keyof typeof clusterNames;
  /** Where the parameters are. */
  readonly namespace: string;
  /** Namespaces with parameters of their own, or on the webhook. */
  readonly except: readonly string[];
  /** Whether those that are labelled for imageswap have other parameters. */
  readonly byLabel: boolean;
}

/** Binds all other namespaces. */
export function clusterBinding(
  { which, namespace, except, byLabel }: ClusterBinding,
  version: PolicyVersion,
): KubeObject {
  const operator: SelectorExpression['operator'] = which === 'labelled' ? 'In' : 'NotIn';
  const expressions: SelectorExpression[] = [
    { key: namespaceNameLabel, operator: 'NotIn', values: [...new Set([exemptNamespace, ...except])].sort() },
    ...(byLabel ? [{ key: imageswapLabel, operator, values: ['enabled'] }] : []),
  ];
  return binding(bindingNames[which], { name: clusterNames[which], namespace }, expressions, version);
}

function binding(
  name: string,
  parameters: { readonly name: string; readonly namespace?: string },
  matchExpressions: readonly SelectorExpression[],
  version: PolicyVersion,
): KubeObject {
  return {
    apiVersion: `${group}/${version}`,
    kind: 'MutatingAdmissionPolicyBinding',
    metadata: { name, labels: ourLabels },
    spec: {
      policyName,
      paramRef: { ...parameters, parameterNotFoundAction: 'Allow' },
      matchResources: { matchPolicy: 'Equivalent', namespaceSelector: { matchExpressions } },
    },
  };
}
