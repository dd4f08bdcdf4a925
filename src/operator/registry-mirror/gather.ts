/** Gathers what exists for a mirror from the views. Makes no request. */
import { objectNames, selectorLabels } from '../../api/names.ts';
import { imageStore } from '../../resources/claim-template.ts';
import { mirrorIndex, type Views } from '../views.ts';
import type { LiveClaim, LiveObjects } from './live-objects.ts';

/** Returns the objects of the mirror `name` in `namespace`. */
export function gatherLive(views: Views, namespace: string, name: string): LiveObjects {
  const names = objectNames(name);
  const at = (object: string) => `${namespace}/${object}`;
  return withoutAbsent({
    service: views.services.get(at(names.service)),
    headlessService: views.services.get(at(names.headlessService)),
    leafSecret: views.secrets.get(at(names.leafSecret)),
    clientSecret: views.secrets.get(at(names.clientSecret)),
    configSecret: views.secrets.get(at(names.configSecret)),
    statefulSet: views.statefulSets.get(at(names.statefulSet)),
    disruptionBudget: views.disruptionBudgets.get(at(names.disruptionBudget)),
    daemonSet: views.daemonSets.get(at(names.daemonSet)),
    restoreDaemonSet: views.daemonSets.get(at(names.restoreDaemonSet)),
    certificate: views.certificates?.get(at(names.certificate)),
    claims: claimsOf(views, name),
  });
}

/** Claims the StatefulSet made, not any that carries the labels. */
function claimsOf(views: Views, name: string): LiveClaim[] {
  const prefix = `${imageStore}-${objectNames(name).statefulSet}-`;
  return views.claims
    .byIndex(mirrorIndex, selectorLabels(name).mirror)
    .filter(({ metadata }) => metadata.name.startsWith(prefix) && metadata.deletionTimestamp === undefined)
    .sort((one, other) => (one.metadata.name < other.metadata.name ? -1 : 1));
}

function withoutAbsent(objects: { [Key in keyof LiveObjects]: LiveObjects[Key] | undefined }): LiveObjects {
  const present = Object.entries(objects).filter(([, value]) => value !== undefined);
  return Object.fromEntries(present) as unknown as LiveObjects;
}
