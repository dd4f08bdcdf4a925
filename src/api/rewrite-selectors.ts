/** Label selectors that keep objects from being rewritten: for the webhook's configuration and the policy alike. Pure. */
import { ownPodsLabel } from './names.ts';
import type { RewriteSettings } from './rewrite-settings.ts';

/** imageswap's label: `enabled` on namespaces that it is for; `disabled` on a namespace leaves all of it alone. */
export const imageswapLabel = 'k8s.twr.io/imageswap';
/** Never rewritten: what the cluster itself needs to come up. */
export const exemptNamespace = 'kube-system';
/** Kubernetes puts a namespace's own name into this label. */
export const namespaceNameLabel = 'kubernetes.io/metadata.name';

/** On what the API shows of a static pod: the node runs what its own manifest says, whatever the API has. */
export const mirrorPodAnnotation = 'kubernetes.io/config.mirror';

/** A requirement of a label selector. */
export interface SelectorExpression {
  readonly key: string;
  readonly operator: 'In' | 'NotIn';
  readonly values: readonly string[];
}

/** Namespaces but those in which nothing is rewritten. */
export function rewrittenNamespaces(): SelectorExpression[] {
  return [
    { key: namespaceNameLabel, operator: 'NotIn', values: [exemptNamespace] },
    { key: imageswapLabel, operator: 'NotIn', values: ['disabled'] },
  ];
}

/** Objects but our own pods and those that have opted out. */
export function rewrittenObjects({
  disableLabel,
}: Pick<RewriteSettings, 'disableLabel'>): SelectorExpression[] {
  return [
    { key: ownPodsLabel.key, operator: 'NotIn', values: [ownPodsLabel.value] },
    { key: disableLabel, operator: 'NotIn', values: ['disabled'] },
  ];
}
