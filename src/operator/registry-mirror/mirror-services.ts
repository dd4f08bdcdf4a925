/** The Services of a mirror. The cluster Service keeps its address if it has to be made again: nodes and images hold it. */
import { setTimeout as delay } from 'node:timers/promises';
import type { RegistryMirror } from '../../api/registry-mirror.ts';
import { ApiError } from '../../kube/errors.ts';
import type { EventRecorder } from '../../kube/events.ts';
import { WaitingError } from '../../observe/errors.ts';
import type { Logger } from '../../observe/log.ts';
import type { KubernetesObject, MirrorInput } from '../../resources/object.ts';
import type { Applier } from './apply.ts';
import { serviceObjects } from './desired.ts';
import { clusterIPsOf, type LiveObjects, type LiveService } from './live-objects.ts';
import type { StoredMirror } from './status.ts';

export interface ServicesDependencies {
  readonly applier: Applier;
  readonly events: EventRecorder;
  readonly logger: Logger;
}

/** The API server says first that a Service is gone, and gives its address free afterwards. Milliseconds between two tries for it. */
const releasePauses = [100, 200, 400, 800, 1600];

/** Applies both Services and returns the cluster Service's addresses, IPv4 and IPv6 as the cluster has them. */
export async function applyServices(
  input: MirrorInput,
  stored: StoredMirror,
  live: LiveObjects,
  { applier, events, logger }: ServicesDependencies,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const before = stored.status?.clusterIPs ?? [];
  const askFor = live.service === undefined && before.length > 0 ? before : undefined;
  // Also of one that is there: who deletes it just now makes of our change a new one.
  const known = askFor ?? clusterIPsOf(live.service);
  const [service, headless] = serviceObjects({
    ...input,
    ...(known.length > 0 && { askForClusterIPs: known }),
  });
  if (service === undefined || headless === undefined) throw new TypeError('A mirror has two Services');
  let applied: LiveService;
  try {
    applied = await applyOnceReleased(service, applier, askFor === undefined ? [] : releasePauses, signal);
  } catch (error) {
    if (askFor === undefined || !refusesAddress(error)) throw error;
    logger.warn({ error, mirror: stored.metadata.name }, 'Could not have the lost address again');
    applied = await applyWithoutAddress(input, applier, signal);
    await events.warning(stored, 'ClusterIPChanged', changed(input.mirror, askFor, clusterIPsOf(applied)));
  }
  await applier.apply(headless, signal);
  const clusterIPs = clusterIPsOf(applied);
  if (clusterIPs.length > 0) return clusterIPs;
  throw new WaitingError('NoClusterIP', 'The Service has no cluster IP yet', 1_000);
}

/** Tries again after each pause while the address is refused; throws the last refusal. */
async function applyOnceReleased(
  service: KubernetesObject,
  applier: Applier,
  [pause, ...pauses]: readonly number[],
  signal: AbortSignal,
): Promise<LiveService> {
  try {
    return await applier.apply(service, signal);
  } catch (error) {
    if (pause === undefined || !refusesAddress(error)) throw error;
  }
  await delay(pause, undefined, { signal });
  return applyOnceReleased(service, applier, pauses, signal);
}

async function applyWithoutAddress(
  input: MirrorInput,
  applier: Applier,
  signal: AbortSignal,
): Promise<LiveService> {
  const [service] = serviceObjects(input);
  return applier.apply(service as KubernetesObject, signal);
}

function refusesAddress(error: unknown): boolean {
  return error instanceof ApiError && error.invalid;
}

function changed({ metadata }: RegistryMirror, was: readonly string[], is: readonly string[]): string {
  return `The Service of ${metadata.name} was lost and its address ${was.join(', ')} is taken; it is ${is.join(', ')} now, nodes and images are brought to it`;
}
