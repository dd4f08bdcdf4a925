/** What the replicas' reports come to: conditions and numbers of a mirror's status. Pure; coarse, so that idle means no change. */
import { storedFinding } from '../../api/conditions.ts';
import type { RegistryMirrorStatus } from '../../api/registry-mirror.ts';
import type { CacheMirrorReport } from '../../cache/cache-report.ts';
import { latestMinute, reasonWord, shortText } from '../polling/words.ts';
import type { Finding } from '../registry-mirror/finding.ts';
import { inUse, type NodesUse } from './in-use.ts';
import { replicaCredentials, replicaCredentialsReasons } from './replica-credentials.ts';
import { noReport, type ReplicaReport, replicaNames } from './replica-report.ts';
import { upstreamReachable } from './upstream-reachable.ts';

/** The numbers of the status that come from replicas; absent where there are none. */
export type CacheNumbers = Pick<RegistryMirrorStatus, 'cacheSize' | 'hitRatio' | 'lastPull'>;

export interface CacheState {
  /** `UpstreamReachable`, `CacheWritable` and `InUse`. */
  readonly findings: readonly Finding[];
  /** `CredentialsValid` where only the replicas see what is wrong with them. */
  readonly credentials?: Finding | undefined;
  readonly numbers: CacheNumbers;
}

/** Clocks of nodes are not quite the same. */
const skewMs = 5 * 60_000;

/** Types of the conditions that replicas decide. */
export const replicaConditions = ['UpstreamReachable', 'CacheWritable', 'InUse'] as const;

/**
 * Sums the reports up. `before`: the numbers of the stored status, which outlive the replicas that gave them; `nodes`: what is known of
 * the mirror's use beside.
 */
export function cacheState(
  reports: readonly ReplicaReport[],
  before: CacheNumbers,
  now: Date,
  nodes: NodesUse = {},
): CacheState {
  const pulls = [before.lastPull, ...reports.map(({ report }) => report.lastPull)];
  const lastPull = latestMinute(pulls.filter((pull) => !isAhead(pull, now)));
  const [size, ratio] = [cacheSize(reports), hitRatio(reports)];
  const served = readable(sum(reports, ({ hour }) => hour.bytes));
  const used = inUse({ ...nodes, told: reports.length > 0, lastPull, served }, now);
  return {
    findings: [upstreamReachable(reports), cacheWritable(reports), used],
    credentials: replicaCredentials(reports),
    numbers: {
      ...(size !== undefined && { cacheSize: size }),
      ...(ratio !== undefined && { hitRatio: ratio }),
      ...(lastPull !== undefined && { lastPull }),
    },
  };
}

/** What the stored status says, for when nothing newer is known. */
export function storedState(status: RegistryMirrorStatus | undefined): CacheState {
  const { cacheSize: size, hitRatio: ratio, lastPull } = status ?? {};
  const findings = replicaConditions.flatMap((type) => storedFinding(status?.conditions, type) ?? []);
  const credentials = storedFinding(status?.conditions, 'CredentialsValid');
  return {
    findings,
    ...(credentials && replicaCredentialsReasons.includes(credentials.reason) && { credentials }),
    numbers: {
      ...(size !== undefined && { cacheSize: size }),
      ...(ratio !== undefined && { hitRatio: ratio }),
      ...(lastPull !== undefined && { lastPull }),
    },
  };
}

/** Told while a clock was ahead that was set back since: it would be the last for as long. */
function isAhead(moment: string | undefined, now: Date): boolean {
  return Date.parse(moment ?? '') > now.getTime() + skewMs;
}

function cacheWritable(reports: readonly ReplicaReport[]): Finding {
  const type = 'CacheWritable';
  const looked = reports.flatMap(({ replica, report: { cache } }) => (cache ? [{ replica, cache }] : []));
  const failing = looked.filter(({ cache }) => !cache.writable);
  const [first] = failing;
  if (looked.length === 0) return { type, ...noReport };
  if (first === undefined) {
    return { type, status: 'True', reason: 'Writable', message: 'Every replica keeps what it fetches' };
  }
  const why = shortText(first.cache.message ?? 'the volume takes nothing');
  const message = `${replicaNames(failing)}: what is cached is served, the rest is passed through without keeping it: ${why}`;
  const reason = reasonWord(first.cache.reason, 'NotWritable');
  return { type, status: 'False', reason, message, warn: 'byReason' };
}

function cacheSize(reports: readonly ReplicaReport[]): string | undefined {
  if (!reports.some(({ report }) => report.cache)) return undefined;
  const held = sum(reports, ({ cache }) => cache?.bytes ?? 0);
  const limit = sum(reports, ({ cache }) => cache?.limitBytes ?? 0);
  return `${readable(held)} of ${readable(limit)}`;
}

/** Absent where nothing was served: no ratio is no bad one. */
function hitRatio(reports: readonly ReplicaReport[]): string | undefined {
  const served = sum(reports, ({ hour }) => hour.bytes);
  if (served === 0) return undefined;
  const fetched = sum(reports, ({ hour }) => hour.upstreamBytes);
  // What was fetched but not (yet) served makes no negative share.
  return `${Math.max(0, Math.floor(100 * (1 - fetched / served)))}%`;
}

function sum(reports: readonly ReplicaReport[], value: (report: CacheMirrorReport) => number): number {
  return reports.reduce((total, { report }) => total + value(report), 0);
}

const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];

/** `12.3 GiB`: three digits are enough to see, and few enough to stand still. */
function readable(bytes: number): string {
  const power = bytes < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(bytes) / 10));
  const value = bytes / 1024 ** power;
  return `${value >= 100 || power === 0 ? Math.round(value) : value.toFixed(1)} ${units[power]}`;
}
