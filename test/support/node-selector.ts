/** Kubernetes' own rules for which nodes a pod's nodeSelector and required node affinity match, written down plainly. */
import type { Requirement, Term } from '../../src/operator/registry-mirror/placement.ts';

export interface FakeNode {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
}

export interface PodPlacement {
  readonly nodeSelector?: Readonly<Record<string, string>>;
  readonly affinity?: {
    readonly nodeAffinity?: {
      readonly requiredDuringSchedulingIgnoredDuringExecution?: {
        readonly nodeSelectorTerms: readonly Term[];
      };
    };
  };
}

/** True when a DaemonSet with this in its pods' spec has a pod on the node. */
export function selects({ nodeSelector = {}, affinity }: PodPlacement, node: FakeNode): boolean {
  if (Object.entries(nodeSelector).some(([key, value]) => node.labels[key] !== value)) return false;
  const required = affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution;
  return required === undefined || required.nodeSelectorTerms.some((term) => matchesTerm(term, node));
}

export function matchesTerm({ matchExpressions = [], matchFields = [] }: Term, node: FakeNode): boolean {
  if (matchExpressions.length + matchFields.length === 0) return false;
  return (
    matchExpressions.every((one) => matches(one, node.labels[one.key])) &&
    matchFields.every((one) => one.key === 'metadata.name' && matches(one, node.name))
  );
}

function matches({ operator, values = [] }: Requirement, label: string | undefined): boolean {
  switch (operator) {
    case 'In':
      return label !== undefined && values.includes(label);
    case 'NotIn':
      return label === undefined || !values.includes(label);
    case 'Exists':
      return label !== undefined;
    case 'DoesNotExist':
      return label === undefined;
    case 'Gt':
      return label !== undefined && /^\d+$/.test(label) && BigInt(label) > BigInt(values[0] ?? '');
    case 'Lt':
      return label !== undefined && /^\d+$/.test(label) && BigInt(label) < BigInt(values[0] ?? '');
    default:
      return false;
  }
}
