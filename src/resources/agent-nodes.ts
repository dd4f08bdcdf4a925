/**
 * Nodes that can run node agents. Fargate's and virtual-kubelet's are Linux nodes that run no DaemonSet's pods with host folders: agents made for them
 * would stay pending, and were never on them.
 */

/** One requirement of a node selector term. */
export interface NodeRequirement {
  readonly key: string;
  readonly operator: 'NotIn';
  readonly values: readonly string[];
}

interface Term {
  readonly matchExpressions?: readonly object[];
}

/** Of every term: a node without the label is one that can. */
export const agentNodes: readonly NodeRequirement[] = [
  { key: 'eks.amazonaws.com/compute-type', operator: 'NotIn', values: ['fargate'] },
  { key: 'type', operator: 'NotIn', values: ['virtual-kubelet'] },
];

/** The affinity for those of them that any of `terms` selects, which are not empty; without terms for all of them. */
export function agentNodeAffinity(terms: readonly Term[] = [{}]): object {
  const nodeSelectorTerms = terms.map(({ matchExpressions = [], ...term }) => {
    const texts = matchExpressions.map((each) => JSON.stringify(each));
    const missing = agentNodes.filter((each) => !texts.includes(JSON.stringify(each)));
    return { ...term, matchExpressions: [...matchExpressions, ...missing] };
  });
  return { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms } } };
}
