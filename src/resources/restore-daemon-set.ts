/** The DaemonSet that takes a mirror back from nodes that left its selection. */
import { componentLabel, components, objectNames, selectorLabels } from '../api/names.ts';
import { agentNodeAffinity } from './agent-nodes.ts';
import { daemonSetView } from './daemon-set.ts';
import { type KubernetesObject, type MirrorInput, metadataView, objectFrom, podLabels } from './object.ts';

/** Node agents in mode `restore` on the Linux nodes that any of `terms` (node selector terms, none empty) selects, whatever their taints. */
export function restoreDaemonSet(input: MirrorInput, terms: readonly object[]): KubernetesObject {
  const { mirror, settings } = input;
  const { name } = mirror.metadata;
  const view = daemonSetView(input, {
    mode: 'restore',
    ownerReferences: true,
    clusterIPs: [],
    certificateNames: [],
  });
  // Its own component: the wiring DaemonSet's selector matches these pods, too, but a pod has one controller.
  const labels = { ...selectorLabels(name), [componentLabel]: components.leavingNodes };
  return objectFrom('daemon-set.yaml', {
    ...view,
    metadata: metadataView(input, objectNames(name).restoreDaemonSet, settings.labels),
    selector: labels,
    podLabels: podLabels(settings, labels),
    affinity: agentNodeAffinity(terms),
  });
}
