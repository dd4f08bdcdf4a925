/** The conditions of a mirror: each found by one pure function from what exists. */
import { timestamp } from '../../api/timestamp.ts';
import type { KubeObject } from '../../kube/object.ts';
import { day, type GivenCertificate } from '../certificates/given.ts';
import { claimsOfReplicas } from './claims.ts';
import type { Finding, Obstacle } from './finding.ts';
import type { Renewal } from './leaf-inputs.ts';
import type { LiveClaim, LiveObjects } from './live-objects.ts';

/** Whether cache pods serve; `note` is told beside. */
export function cacheAvailable(live: LiveObjects, note?: string): Finding {
  const finding = replicasReady(live);
  return note === undefined ? finding : { ...finding, message: `${finding.message}; ${note}` };
}

function replicasReady(live: LiveObjects): Finding {
  const { statefulSet } = live;
  if (statefulSet === undefined) return cache('Unknown', 'NotCreated', 'The StatefulSet does not exist yet');
  const wanted = statefulSet.spec?.replicas ?? 0;
  const ready = statefulSet.status?.readyReplicas ?? 0;
  if (wanted === 0) return cache('False', 'ScaledToZero', 'spec.replicas is 0');
  const count = `${ready} of ${wanted} replicas are ready`;
  if (ready >= wanted) return cache('True', 'Available', count);
  const hasClaims = (statefulSet.spec?.volumeClaimTemplates ?? []).length > 0;
  const pending = hasClaims ? pendingClaim(claimsOfReplicas(live.claims, wanted)) : undefined;
  if (pending !== undefined) return { ...pending, status: ready > 0 ? 'True' : 'False' };
  return ready > 0 ? cache('True', 'Degraded', count) : cache('False', 'NoReplicaReady', count);
}

/** What is known of a mirror's certificates. */
export interface CertificateFacts {
  /** All that are not ours. */
  readonly given: readonly GivenCertificate[];
  /** The names the mirror needs. */
  readonly names: readonly string[];
  /** Until when the copy is valid that is served because a given certificate cannot be used. */
  readonly keptUntil?: Date;
  /** How far the mirror is with a renewed authority. */
  readonly renewal?: Renewal;
  /** The Secret cert-manager writes, where it is asked to. */
  readonly issued?: string | undefined;
  /** The mirror lets nobody in without a certificate. */
  readonly asksClients?: boolean | undefined;
  readonly now: Date;
}

/** Told beside: only the forwarder of a node's agent can show one. */
export const clientsAsked =
  'who reads must show a certificate of the operator’s authority (spec.nodes.clientCertificate): node agents do for what comes by their forwarder; who dials the Service, as Docker does by a line in the hosts file, has none and is refused';

/** Whether what is served covers all names; our own leaf covers what a given certificate does not. */
export function certificateValid(facts: CertificateFacts): Finding {
  const { renewal, asksClients } = facts;
  const coverage = coverageFinding(facts);
  const finding = asksClients ? { ...coverage, message: `${coverage.message}; ${clientsAsked}` } : coverage;
  if (renewal === undefined) return finding;
  if (renewal.state === 'waiting') {
    const until = timestamp(renewal.until);
    const message = `${finding.message}; a renewed authority signs when the agents of all nodes trust it, at the latest at ${until}`;
    return { ...finding, message };
  }
  const message = `${finding.message}; the renewed authority signs although agents were not ready to trust it in time, on nodes: ${renewal.nodes}; there pulls through the mirror may fail until the agent is ready`;
  return { ...finding, message, warn: true, ...(finding.status === 'True' && { reason: 'AgentsBehind' }) };
}

function coverageFinding(facts: CertificateFacts): Finding {
  const { given, names, now } = facts;
  const faulty = given.find(({ state }) => state !== 'usable');
  if (faulty !== undefined && faulty.state !== 'usable') return unusableGiven(faulty, facts);
  const usable = given.flatMap((one) => (one.state === 'usable' ? [one] : []));
  if (usable.length === 0) {
    return certificate('True', 'OwnAuthority', 'The operator’s own authority covers all names');
  }
  const message = usable.map((one) => coverage(one, names)).join('; ');
  const days = Math.min(...usable.map(({ notAfter }) => daysLeft(notAfter, now)));
  if (days >= warnDays) return certificate('True', 'Given', message);
  return { ...certificate('True', 'ExpiresSoon', `${days} days are left: ${message}`), warn: true };
}

/** Whether a person has to change something. */
export function stalled(obstacles: readonly Obstacle[]): Finding {
  const [first] = obstacles;
  if (first === undefined) {
    return { type: 'Stalled', status: 'False', reason: 'Working', message: 'Nothing waits for a person' };
  }
  const message = obstacles.map((obstacle) => obstacle.message).join('; ');
  return { type: 'Stalled', status: 'True', reason: first.reason, message, warn: true };
}

/** What keeps a mirror from being ready; what a person can mend is named first. */
const blocks: readonly ((finding: Finding) => boolean)[] = [
  ({ type, status }) => type === 'Stalled' && status === 'True',
  ({ type, status }) => type === 'CredentialsValid' && status === 'False',
  ({ type, status }) => type === 'CacheAvailable' && status !== 'True',
];

/** The sum: the mirror serves what was asked for. Wired nodes do not count: one odd node is no broken mirror. */
export function ready(findings: readonly Finding[]): Finding {
  const blocking = blocks.flatMap((block) => findings.filter(block))[0];
  if (blocking === undefined) {
    return { type: 'Ready', status: 'True', reason: 'Serving', message: 'The mirror serves' };
  }
  const { reason, message } = blocking;
  return { type: 'Ready', status: blocking.status === 'Unknown' ? 'Unknown' : 'False', reason, message };
}

const warnDays = 30;

/** A claim without a class waits for ever where the cluster has no default one; others wait for their provisioner. */
function pendingClaim(claims: readonly LiveClaim[]): Finding | undefined {
  const pending = claims.filter((claim) => claim.status?.phase === 'Pending');
  const classless = pending.find((claim) => claim.spec?.storageClassName === undefined);
  if (classless !== undefined) {
    const message = `Claim ${nameOf(classless)} is pending and has no storage class: the cluster has no default StorageClass; mark one as default, or set spec.volumeClaimTemplate.spec.storageClassName and delete StatefulSet and claims of the mirror`;
    return { ...cache('False', 'NoDefaultStorageClass', message), warn: true };
  }
  const [first] = pending;
  if (first === undefined) return undefined;
  const { storageClassName: name } = first.spec ?? {};
  const message =
    name === ''
      ? `Claim ${nameOf(first)} is pending: it asks for a volume without a class, and none fits`
      : `Claim ${nameOf(first)} of storage class ${name} is pending`;
  return cache('False', 'ClaimPending', message);
}

function unusableGiven(
  { state, secret, why }: Exclude<GivenCertificate, { state: 'usable' }>,
  { keptUntil, issued }: CertificateFacts,
): Finding {
  const effect = keptUntil
    ? `a copy of the last working one stays in force, valid until ${day(keptUntil)}`
    : 'a certificate of the operator’s own authority is served';
  if (state === 'missing' && secret === issued && keptUntil === undefined) {
    return certificate(
      'False',
      'CertificatePending',
      `cert-manager has not written Secret ${secret} yet; ${effect}`,
    );
  }
  const reason = state === 'missing' ? 'SecretNotFound' : 'CertificateUnusable';
  return {
    ...certificate('False', reason, `Certificate in Secret ${secret}: ${why}; ${effect}`),
    warn: true,
  };
}

function coverage(given: Extract<GivenCertificate, { state: 'usable' }>, names: readonly string[]): string {
  const missing = names.filter((name) => !name.startsWith('*') && !given.names.includes(name));
  const until = `Secret ${given.secret} is valid until ${day(given.notAfter)}`;
  return missing.length === 0
    ? `${until} and covers all names`
    : `${until} and does not cover ${missing.join(', ')}: there a certificate of the operator’s own authority is served`;
}

function daysLeft(until: Date, now: Date): number {
  return Math.floor((until.getTime() - now.getTime()) / 86_400_000);
}

function nameOf({ metadata }: KubeObject): string {
  return `${metadata.namespace}/${metadata.name}`;
}

function cache(status: Finding['status'], reason: string, message: string): Finding {
  return { type: 'CacheAvailable', status, reason, message };
}

function certificate(status: Finding['status'], reason: string, message: string): Finding {
  return { type: 'CertificateValid', status, reason, message };
}
