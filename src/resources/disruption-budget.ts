/** The PodDisruptionBudget of a mirror: nodes that are drained take one of its cache pods at a time. */
import { cachePodLabels, objectNames } from '../api/names.ts';
import {
  type KubernetesObject,
  type MetadataView,
  type MirrorInput,
  metadataView,
  objectFrom,
} from './object.ts';

/** What `disruption-budget.yaml` prints. */
export interface DisruptionBudgetView {
  readonly metadata: MetadataView;
  /** Labels of the cache pods; agents are in no budget, since a drain leaves pods of DaemonSets alone. */
  readonly selector: Readonly<Record<string, string>>;
}

/** The budget over the pods of the mirror's StatefulSet. */
export function disruptionBudget(input: MirrorInput): KubernetesObject {
  return objectFrom('disruption-budget.yaml', disruptionBudgetView(input));
}

/** The view of the budget. */
export function disruptionBudgetView(input: MirrorInput): DisruptionBudgetView {
  const { name } = input.mirror.metadata;
  return {
    metadata: metadataView(input, objectNames(name).disruptionBudget),
    selector: cachePodLabels(name),
  };
}
