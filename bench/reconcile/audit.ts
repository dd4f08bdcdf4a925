/** What one user asked of the API server, counted from its audit log. Pure. */
import type { AuditEvent } from '../../test/support/control-plane.ts';
import { mirrorIn } from './mirrors.ts';

/** A line of the audit log with the two fields that make requests countable. */
export interface RequestEvent extends AuditEvent {
  /** One per request; a request may have an event for each of its stages. */
  auditID: string;
  requestReceivedTimestamp: string;
}

/** From (included) to (excluded), in ms since the epoch. */
export interface Period {
  from: number;
  to: number;
}

/** How often each verb was used, and how often in all. */
export interface VerbCounts {
  total: number;
  verbs: Record<string, number>;
}

/**
 * Returns the requests of `user` that came in during `period`, one event each. A watch is logged when it ends but counts
 * when it was asked for, so the log must be read after the user has gone.
 */
export function requestsOf(
  events: readonly RequestEvent[],
  user: string,
  period: Period = { from: 0, to: Number.POSITIVE_INFINITY },
): RequestEvent[] {
  const ofUser = events.filter((event) => event.user.username === user && isWithin(event, period));
  return [...new Map(ofUser.map((event) => [event.auditID, event])).values()];
}

/** True for a request about the Lease of the election. */
export function isLease(event: RequestEvent): boolean {
  return event.objectRef?.resource === 'leases';
}

/** True for a request that asks to change something; whether it was granted is `succeeded`. */
export function isWrite(event: RequestEvent): boolean {
  return !['get', 'list', 'watch', 'head', 'options'].includes(event.verb);
}

export function succeeded(event: RequestEvent): boolean {
  return (event.responseStatus?.code ?? 500) < 400;
}

/** True for a request that made its sender the leader, kept it the leader or gave the lead back. */
export function takesLease(event: RequestEvent): boolean {
  return isLease(event) && isWrite(event) && succeeded(event);
}

export function countVerbs(events: readonly RequestEvent[]): VerbCounts {
  return { total: events.length, verbs: countBy(events, (event) => event.verb) };
}

/** Returns the requests that name a mirror (or an object named after one), by that mirror. */
export function byMirror(events: readonly RequestEvent[]): Map<string, RequestEvent[]> {
  const groups = Map.groupBy(events, nameOfMirror);
  groups.delete('');
  return groups;
}

/** Returns the requests that name no mirror. */
export function withoutMirror(events: readonly RequestEvent[]): RequestEvent[] {
  return events.filter((event) => nameOfMirror(event) === '');
}

/** How often each kind of request was made, most frequent first: `200 x patch services/registry-mirror-<mirror>`. */
export function tally(events: readonly RequestEvent[]): Record<string, number> {
  const entries = Object.entries(countBy(events, describe));
  return Object.fromEntries(entries.sort(([a, i], [b, j]) => j - i || (a < b ? -1 : 1)));
}

/** `verb resource/name/subresource`, the mirror's name as `<mirror>`; a refused request shows its status code. */
function describe(event: RequestEvent): string {
  const refusal = succeeded(event) ? '' : ` -> ${event.responseStatus?.code}`;
  return `${event.verb} ${targetOf(event)}${refusal}`;
}

function targetOf({ objectRef, requestURI }: RequestEvent): string {
  if (!objectRef) return requestURI.replace(/\?.*/, '');
  // An event's name ends in a hash of its cause.
  const name = objectRef.resource === 'events' ? undefined : objectRef.name;
  const parts = [objectRef.resource, name, objectRef.subresource].filter((part) => part !== undefined);
  const target = parts.join('/');
  const mirror = mirrorIn(target);
  return mirror === undefined ? target : target.replace(mirror, '<mirror>');
}

function nameOfMirror(event: RequestEvent): string {
  return mirrorIn(event.objectRef?.name ?? '') ?? mirrorIn(event.requestURI) ?? '';
}

function isWithin(event: RequestEvent, { from, to }: Period): boolean {
  const received = Date.parse(event.requestReceivedTimestamp);
  return received >= from && received < to;
}

function countBy(events: readonly RequestEvent[], key: (event: RequestEvent) => string) {
  const counts: Record<string, number> = {};
  for (const event of events) counts[key(event)] = (counts[key(event)] ?? 0) + 1;
  return counts;
}
