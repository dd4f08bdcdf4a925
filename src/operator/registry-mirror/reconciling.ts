/** Condition `Reconciling`: whether all replicas are as the spec wants them, for who waits for a change. Pure. */
import { findCondition, storedFinding } from '../../api/conditions.ts';
import type { RegistryMirrorStatus } from '../../api/registry-mirror.ts';
import { type ReplicaReport, replicaNames } from '../cache-reports/replica-report.ts';
import type { Finding } from './finding.ts';
import type { LiveStatefulSet } from './live-objects.ts';

const type = 'Reconciling';

export interface ReconcilingFacts {
  readonly statefulSet: LiveStatefulSet | undefined;
  /** Mark of the configuration that was written; absent: the pass did not get so far, for a reason that `Stalled` has. */
  readonly configuration: string | undefined;
  /** What replicas said; absent: nobody was asked yet. */
  readonly reports: readonly ReplicaReport[] | undefined;
  readonly stored: RegistryMirrorStatus | undefined;
  /** Of the spec. */
  readonly generation: number | undefined;
}

/** Replicas that do not serve are no matter of it: those are `CacheAvailable`'s. */
export function reconciling(facts: ReconcilingFacts): Finding {
  const { statefulSet, configuration, reports } = facts;
  if (configuration === undefined) return finding('False', 'NotInForce', notInForce);
  if (statefulSet === undefined) return finding('True', 'NotCreated', 'The StatefulSet does not exist yet');
  const waiting = rollOut(statefulSet);
  if (waiting !== undefined) return finding('True', 'RollingOut', waiting);
  const before = reports === undefined ? storedOf(facts) : undefined;
  if (before !== undefined) return before;
  // Whether old replicas have read an edit, only they can tell.
  const behind = reports?.filter(({ report }) => isBehind(report.configuration, configuration)) ?? [];
  if (behind.length > 0) {
    const message = `${replicaNames(behind)}: the configuration is another one still; kubelets bring it within a minute and a half`;
    return finding('True', 'ConfigurationPending', message);
  }
  const unheard = (statefulSet.status?.readyReplicas ?? 0) - (reports?.length ?? 0);
  return unheard > 0
    ? finding('Unknown', 'NoReport', `${unheard} replicas that serve ${unheardText}`)
    : upToDate;
}

/** What is known of this very spec while nobody was asked. */
function storedOf({ stored, generation }: ReconcilingFacts): Finding | undefined {
  const { observedGeneration } = findCondition(stored?.conditions, type) ?? {};
  return observedGeneration === generation ? storedFinding(stored?.conditions, type) : undefined;
}

const notInForce =
  'The spec is not brought about: the mirror is being deleted, or condition Stalled says why';
const unheardText =
  'have not told which configuration they have: the operator asks them twice a minute, or may not list and watch EndpointSlices';
const upToDate = finding('False', 'UpToDate', 'Every replica is as the spec wants it');

function rollOut({ metadata, spec, status }: LiveStatefulSet): string | undefined {
  const wanted = spec?.replicas ?? 0;
  const { observedGeneration = 0, replicas = 0, updatedReplicas = 0 } = status ?? {};
  if (observedGeneration < (metadata.generation ?? 0)) return 'The StatefulSet was changed just now';
  if (replicas > wanted) return `${replicas - wanted} replicas are still to go`;
  if (updatedReplicas < wanted)
    return `${updatedReplicas} of ${wanted} replicas have the pod template as it is now`;
  return undefined;
}

/** A replica of before this condition tells no mark. */
function isBehind(has: string | undefined, wanted: string): boolean {
  return has !== undefined && has !== wanted;
}

function finding(status: Finding['status'], reason: string, message: string): Finding {
  return { type, status, reason, message };
}
