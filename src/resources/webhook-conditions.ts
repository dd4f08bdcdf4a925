/** Which reviews the API server sends to the webhook at all, in CEL. Without optional fields, which CEL has from Kubernetes 1.29. Pure. */
import { mirrorPodAnnotation } from '../api/rewrite-selectors.ts';

export interface MatchCondition {
  readonly name: string;
  readonly expression: string;
}

/**
 * Of a pod that is there only changed images are of interest; a call for each finalizer or label of a controller's would hold that up while no webhook
 * answers.
 */
export const imagesChange: MatchCondition = {
  name: 'images-change',
  expression: `oldObject == null || ${imagesOf('object')} != ${imagesOf('oldObject')}`,
};

function imagesOf(pod: string): string {
  const each = (list: string, found: string, image: string) =>
    `(has(${pod}.spec.${list}) ? ${pod}.spec.${list}.filter(c, ${found}).map(c, ${image}) : [])`;
  const lists = ['containers', 'initContainers', 'ephemeralContainers'];
  const ofContainers = lists.map((list) => each(list, 'has(c.image)', 'c.image'));
  const ofVolumes = each('volumes', 'has(c.image) && has(c.image.reference)', 'c.image.reference');
  return [...ofContainers, ofVolumes].join(' + ');
}

/** The pod of a manifest on a node, which runs as it stands there. */
export const isNotStatic: MatchCondition = {
  name: 'not-static',
  expression: `!has(object.metadata.annotations) || !('${mirrorPodAnnotation}' in object.metadata.annotations)`,
};

/** What a node needs to come up, its network above all, is not refused because no webhook answers: that may wait for this very network. */
const critical =
  "has(object.spec.priorityClassName) && object.spec.priorityClassName == 'system-node-critical'";
export const isCritical: MatchCondition = { name: 'node-critical', expression: critical };
export const isNotCritical: MatchCondition = { name: 'not-node-critical', expression: `!(${critical})` };
