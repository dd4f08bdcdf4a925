/** The figures of one run, from the audit log and the moments between which its phases lay. Pure. */

import type { Memory } from '../process-usage.ts';
import {
  byMirror,
  countVerbs,
  isLease,
  isWrite,
  type Period,
  type RequestEvent,
  requestsOf,
  succeeded,
  takesLease,
  tally,
  type VerbCounts,
  withoutMirror,
} from './audit.ts';
import { expectedObjects, mirrorNames } from './mirrors.ts';

/** The user the operator is known as to the API server; nobody else has that name. */
export const operatorUser = 'registry-mirror-operator';

/** What a run notes while it goes on. */
export interface Observation {
  mirrors: number;
  /** From the first mirror's creation until the operator made no more requests. */
  creation: Period;
  /** The machine's load (1 min average) just before the creation. */
  loadBefore: number;
  /** Processor time the operator used during the creation. */
  cpuSeconds: number;
  idle: Period;
  restart: Restart;
  memory: Memory;
}

/** From SIGTERM until the new process had made its pass and was quiet. */
export interface Restart extends Period {
  /** When the new process was started. */
  started: number;
}

/** Requests of a phase in which nothing had to be done. */
export interface QuietFigures {
  requests: VerbCounts;
  leaseRequests: number;
  writesButLease: number;
  tally: Record<string, number>;
}

/** The figures of one run; times in seconds, memory in MiB. */
export interface Figures {
  mirrors: number;
  /** From the first mirror's creation until the last expected object and the last status were written. */
  secondsUntilAllExist: number;
  /** Until the last mirror itself was created: the part of it that is not the operator's. */
  secondsOfCreation: number;
  /** The machine's load (1 min average) before: seconds of runs under different loads cannot be compared. */
  loadBefore: number;
  /** Processor time of the operator from the first creation until it was quiet; hardly depends on others' load. */
  cpuSeconds: number;
  newMirrors: {
    /** All requests but those for the Lease. */
    requests: VerbCounts;
    requestsPerMirror: number;
    /** Of the mirror with the most; only requests that name it. */
    mostRequestsForOne: number;
    requestsNamingNone: number;
    refused: number;
    tally: Record<string, number>;
  };
  idle: QuietFigures & { seconds: number };
  /** `secondsUntilLeading` counts from SIGTERM: the end of the old process and the start of the new one are in it. */
  restart: QuietFigures & { secondsUntilLeading: number };
  memory: Memory;
}

/** Computes a run's figures; `events` must have been read after the operator's end, when its watches are in the log. */
export function figuresOf(events: readonly RequestEvent[], observation: Observation): Figures {
  const { mirrors, creation, idle, restart, memory } = observation;
  return {
    mirrors,
    ...times(events, observation),
    loadBefore: rounded(observation.loadBefore),
    cpuSeconds: rounded(observation.cpuSeconds),
    newMirrors: newMirrors(requestsOf(events, operatorUser, creation), mirrors),
    idle: {
      seconds: rounded((idle.to - idle.from) / 1000),
      ...quiet(requestsOf(events, operatorUser, idle)),
    },
    restart: {
      secondsUntilLeading: secondsUntilLeading(events, restart),
      ...quiet(requestsOf(events, operatorUser, restart)),
    },
    memory,
  };
}

function times(events: readonly RequestEvent[], { mirrors, creation }: Observation) {
  const names = mirrorNames(mirrors);
  const written = firstWrites(events);
  const created = completion(
    written,
    names.map((name) => `registrymirrors/${name}`),
  );
  const exist = completion(written, expectedObjects(names));
  return {
    secondsUntilAllExist: rounded((exist - creation.from) / 1000),
    secondsOfCreation: rounded((created - creation.from) / 1000),
  };
}

/** When each `resource/name[/subresource]` was first written. */
function firstWrites(events: readonly RequestEvent[]): Map<string, number> {
  const times = new Map<string, number>();
  for (const event of events) {
    if (!isWrite(event) || !succeeded(event)) continue;
    const { resource, name, subresource } = event.objectRef ?? {};
    const key = [resource, name, subresource].filter((part) => part !== undefined).join('/');
    times.set(key, Math.min(times.get(key) ?? Number.POSITIVE_INFINITY, Date.parse(event.stageTimestamp)));
  }
  return times;
}

function completion(written: Map<string, number>, keys: readonly string[]): number {
  return keys.reduce((latest, key) => {
    const time = written.get(key);
    if (time === undefined) throw new Error(`The audit log has no write of ${key}`);
    return Math.max(latest, time);
  }, 0);
}

function newMirrors(all: readonly RequestEvent[], mirrors: number): Figures['newMirrors'] {
  const requests = all.filter((event) => !isLease(event));
  const perMirror = [...byMirror(requests).values()].map(({ length }) => length);
  return {
    requests: countVerbs(requests),
    requestsPerMirror: rounded(requests.length / mirrors),
    mostRequestsForOne: perMirror.reduce((most, length) => Math.max(most, length), 0),
    requestsNamingNone: withoutMirror(requests).length,
    refused: requests.filter((event) => !succeeded(event)).length,
    tally: tally(requests),
  };
}

function quiet(requests: readonly RequestEvent[]): QuietFigures {
  return {
    requests: countVerbs(requests),
    leaseRequests: requests.filter(isLease).length,
    writesButLease: requests.filter((event) => isWrite(event) && !isLease(event)).length,
    tally: tally(requests),
  };
}

function secondsUntilLeading(events: readonly RequestEvent[], { from, to, started }: Restart): number {
  const taken = requestsOf(events, operatorUser, { from: started, to }).find(takesLease);
  if (!taken) throw new Error('The audit log has no write of the Lease after the restart');
  return rounded((Date.parse(taken.stageTimestamp) - from) / 1000);
}

function rounded(value: number): number {
  return Math.round(value * 100) / 100;
}
