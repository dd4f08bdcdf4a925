/** Names of what the policy consists of, and the labels on it. Pure. */
import { fieldManager, ownPodsLabel } from '../../../api/names.ts';

/** The policy, and the parameters of a namespace with rules of its own. */
export const policyName = 'registry-mirror-rewrite';

/** Parameters for all other namespaces, in the operator's; of those labelled for imageswap where they have other rules. */
export const clusterNames = { all: `${policyName}-all`, labelled: `${policyName}-labelled` } as const;

/** Bindings: of namespaces with parameters of their own, and of the others. */
export const bindingNames = { own: `${policyName}-namespaces`, ...clusterNames } as const;

/** On everything that is ours here. */
export const ourLabels = { [ownPodsLabel.key]: fieldManager } as const;
