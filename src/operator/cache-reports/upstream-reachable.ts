/** Whether the upstream answers, from what the replicas last heard of it. Pure. */

import { reasonWord, shortText } from '../polling/words.ts';
import type { Finding } from '../registry-mirror/finding.ts';
import { noReport, type ReplicaReport, replicaNames } from './replica-report.ts';

/** From the mildest to the worst; what this version does not know is worse than all of them. */
const severity = [
  'Ok',
  'RateLimited',
  'ServerError',
  'BadAnswer',
  'Broken',
  'Timeout',
  'TokenServer',
  'Unauthorized',
  'TLS',
  'Refused',
  'DNS',
  'Proxy',
];

/** What a person can do about it. */
const remedies: Readonly<Record<string, string>> = {
  Unauthorized: 'renew the credentials, or see whether they may read this repository',
  TLS: 'name its authority in spec.upstreamCA if it is a private one',
  DNS: 'see whether cache pods can resolve its name',
  Proxy: 'see spec.upstreamProxy, or HTTPS_PROXY of the operator',
  RateLimited: 'what is cached is served; credentials raise the limit',
};

/** A replica that heard nothing while others did for so long has old news. */
const recentMs = 600_000;

/** The worst that a replica heard lately. */
export function upstreamReachable(reports: readonly ReplicaReport[]): Finding {
  const type = 'UpstreamReachable';
  if (reports.length === 0) return { type, ...noReport };
  const heard = reports.filter(({ report }) => report.upstream.reason !== 'Unknown');
  if (heard.length === 0) {
    return { type, status: 'Unknown', reason: 'NotAsked', message: 'The upstream was not asked yet' };
  }
  const newest = Math.max(...heard.map(timeOf));
  const recent = heard.filter((report) => newest - timeOf(report) <= recentMs);
  const worst = recent.reduce((one, other) => (rank(other) > rank(one) ? other : one));
  const { reason } = worst.report.upstream;
  if (reason === 'Ok') {
    return { type, status: 'True', reason: 'Reachable', message: 'The upstream answers' };
  }
  const failing = recent.filter(({ report }) => report.upstream.reason === reason);
  const message = messageOf(worst, failing);
  return { type, status: 'False', reason: reasonWord(reason, 'Failing'), message, warn: 'byReason' };
}

function messageOf({ report: { upstream } }: ReplicaReport, failing: readonly ReplicaReport[]): string {
  const { reason, since, until, message } = upstream;
  const parts = [
    `${replicaNames(failing)} found it so since ${toSecond(since)}`,
    until === undefined ? undefined : `the upstream wants to be left alone until ${toSecond(until)}`,
    message === undefined ? undefined : shortText(message),
    remedies[reason],
  ];
  return parts.filter((part) => part !== undefined).join('; ');
}

function timeOf({ report: { upstream } }: ReplicaReport): number {
  return Date.parse(upstream.asked ?? upstream.since);
}

function rank({ report: { upstream } }: ReplicaReport): number {
  const known = severity.indexOf(upstream.reason);
  return known < 0 ? severity.length : known;
}

function toSecond(moment: string): string {
  return moment.replace(/\.\d+Z$/, 'Z');
}
