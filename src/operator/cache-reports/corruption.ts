/** Tells people that a cache held what it must not hold. */
import type { EventRecorder } from '../../kube/events.ts';
import type { KubeObject } from '../../kube/object.ts';
import type { ReplicaReport } from './replica-report.ts';

/** One event for each finding: it is named by the replica, the count and the moment. Nothing for a mirror that is gone. */
export async function warnOfCorruption(
  events: Pick<EventRecorder, 'warning'>,
  mirror: KubeObject | undefined,
  { replica, report: { scrub } }: ReplicaReport,
): Promise<void> {
  if (mirror === undefined) return;
  const message = `${replica} removed cached objects whose content was not that of their digest (${scrub.corrupt} since it started): look for a faulty disk or memory of its node, or an upstream that sent wrong bytes`;
  await events.warning(mirror, 'CorruptObject', message, { occurrence: scrub.lastCorrupt ?? '' });
}
