/** Gives nodes back: the DaemonSet in mode `restore`, on every node it may ever have been on. */

import type { RegistryMirror } from '../../api/registry-mirror.ts';
import type { OperatorSettings } from '../../api/settings.ts';
import { nodeDaemonSet } from '../../resources/daemon-set.ts';
import type { KubernetesObject } from '../../resources/object.ts';
import type { Applier } from './apply.ts';
import type { Finding } from './finding.ts';
import type { LiveObjects } from './live-objects.ts';
import { restorationFinding } from './restoration.ts';

/** The DaemonSet that restores; without owner references while the mirror is being deleted. */
export function restoringDaemonSet(
  input: { mirror: RegistryMirror; settings: OperatorSettings },
  ownerReferences: boolean,
): KubernetesObject {
  return nodeDaemonSet(input, { mode: 'restore', ownerReferences, clusterIPs: [], certificateNames: [] });
}

/** Turns a live DaemonSet into one that restores, and finds how far it is; a mirror that wired nothing gets none. */
export async function unwire(
  input: { mirror: RegistryMirror; settings: OperatorSettings },
  live: LiveObjects,
  applier: Applier,
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  if (live.daemonSet === undefined) return [];
  const restoring = await applier.apply(restoringDaemonSet(input, true), signal);
  // That one restores every node, those that left before, too.
  const { restoreDaemonSet } = live;
  if (restoreDaemonSet !== undefined && restoreDaemonSet.metadata.deletionTimestamp === undefined) {
    await applier.delete(restoreDaemonSet, signal);
  }
  return [restorationFinding(restoring)];
}
