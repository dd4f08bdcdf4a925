/** The status of a mirror from what was found. Pure; nothing in it changes by itself, so that idle means no write. */

import { mergeConditions } from '../../api/conditions.ts';
import { apiVersion, kind } from '../../api/kind.ts';
import { labelSelector } from '../../api/names.ts';
import type { RegistryMirrorStatus } from '../../api/registry-mirror.ts';
import { timestamp } from '../../api/timestamp.ts';
import { parseUpstream } from '../../api/upstream.ts';
import type { KubeObject } from '../../kube/object.ts';
import { redact } from '../../observe/redact.ts';
import type { CacheNumbers } from '../cache-reports/cache-state.ts';
import { ready } from './conditions.ts';
import type { Finding } from './finding.ts';
import type { LiveStatefulSet } from './live-objects.ts';

/** The mirror as it is stored; its spec may not be valid. */
export interface StoredMirror extends KubeObject {
  readonly spec?: Readonly<Record<string, unknown>>;
  readonly status?: RegistryMirrorStatus;
}

/** What is reported. */
export interface StatusInputs {
  readonly mirror: StoredMirror;
  /** Absent where the spec cannot be read. */
  readonly upstreamUrl?: string;
  readonly masquerade?: string;
  readonly clusterIPs: readonly string[];
  readonly nodePort?: number;
  readonly statefulSet?: LiveStatefulSet;
  /** Wired and selected nodes. */
  readonly nodes?: string | undefined;
  /** All but `Ready`, which is their sum. */
  readonly findings: readonly Finding[];
  /** What the replicas said. */
  readonly numbers: CacheNumbers;
  readonly now: Date;
}

/** Returns the whole object to apply to the status subresource. */
export function statusObject(inputs: StatusInputs): KubeObject {
  const { mirror } = inputs;
  const { name, uid } = mirror.metadata;
  return {
    apiVersion,
    kind,
    // With the uid: a mirror that was deleted meanwhile is not made again.
    metadata: { name, ...(uid !== undefined && { uid }) },
    status: statusOf(inputs),
  };
}

/** Returns the conditions that are new trouble, or trouble of a new kind, compared with the stored status. */
export function newWarnings(mirror: StoredMirror, findings: readonly Finding[]): readonly Finding[] {
  const before = mirror.status?.conditions ?? [];
  return findings.filter(
    (found) =>
      Boolean(found.warn) &&
      !before.some(({ type, reason, message }) => {
        if (type !== found.type || reason !== found.reason) return false;
        return found.warn === 'byReason' || message === redact(found.message);
      }),
  );
}

/** What was given to a mirror once and outlives its spec: its addresses, asked for again with a lost Service, and its port. */
export function givenTo({ status }: StoredMirror): Pick<StatusInputs, 'clusterIPs' | 'nodePort'> {
  const { clusterIPs = [], nodePort } = status ?? {};
  return { clusterIPs, ...(nodePort !== undefined && { nodePort }) };
}

function statusOf(inputs: StatusInputs): RegistryMirrorStatus {
  const { mirror, upstreamUrl, masquerade, clusterIPs, nodePort } = inputs;
  const { name, generation } = mirror.metadata;
  const [address] = clusterIPs;
  const upstream = upstreamUrl === undefined ? undefined : parseUpstream(upstreamUrl);
  return {
    ...(generation !== undefined && { observedGeneration: generation }),
    ...(upstream && { upstream: [upstream.host, upstream.pathPrefix].filter(Boolean).join('/') }),
    ...(masquerade !== undefined && { masquerade }),
    ...(address !== undefined && { address, clusterIPs: [...clusterIPs] }),
    ...(nodePort !== undefined && { nodePort }),
    selector: labelSelector(name, 'registry'),
    ...cacheNumbers(inputs.statefulSet),
    ...inputs.numbers,
    ...(inputs.nodes !== undefined && { nodes: inputs.nodes }),
    conditions: conditions(inputs),
  };
}

function conditions({ mirror, findings, now }: StatusInputs) {
  const all = [...findings, ready(findings)].map(({ type, status, reason, message }) => ({
    type,
    status,
    reason,
    message: redact(message),
  }));
  const { generation } = mirror.metadata;
  return mergeConditions(mirror.status?.conditions, all, {
    now: timestamp(now),
    ...(generation !== undefined && { generation }),
  });
}

function cacheNumbers(set: LiveStatefulSet | undefined): RegistryMirrorStatus {
  if (set === undefined) return {};
  const readyReplicas = set.status?.readyReplicas ?? 0;
  return {
    replicas: set.status?.replicas ?? 0,
    readyReplicas,
    cache: `${readyReplicas}/${set.spec?.replicas ?? 0}`,
  };
}
