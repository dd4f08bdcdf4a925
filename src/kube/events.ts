/**
 * Records events about objects: once per cause, also over restarts, because the name is made of the cause. They are of
 * the core group, whose fields every `kubectl describe` shows.
 */
import { createHash } from 'node:crypto';
import type { Logger } from '../observe/log.ts';
import { redact } from '../observe/redact.ts';
import type { KubeClient } from './client.ts';
import { ApiError } from './errors.ts';
import type { KubeObject } from './object.ts';
import type { ResourceType } from './resource-type.ts';

/** The type of recorded events. */
export const eventType: ResourceType = {
  group: '',
  version: 'v1',
  plural: 'events',
  kind: 'Event',
  namespaced: true,
};

export interface EventRecorderOptions {
  client: KubeClient;
  /** Shown as FROM; also `reportingComponent`. */
  component: string;
  /** The process: `reportingInstance`. */
  instance: string;
  logger?: Logger;
  now?: () => Date;
}

/** What an event may say beside its reason and message. */
export interface EventDetails {
  /** What was done or tried; the reason where it is not given. */
  readonly action?: string;
  /** Part of the cause, not shown: tells the second time something went wrong from the first. */
  readonly occurrence?: string;
}

/** Longest message the API server takes, in bytes. */
const longestMessage = 1024;
/** RBAC without events: one request and one line of log in this time, not one at each resync. */
const forbiddenPauseMs = 600_000;
/** So many causes are remembered; each is some 100 bytes. */
const mostRemembered = 10_000;

/** Writes events; never throws, and makes no request for a cause it has written before. */
export class EventRecorder {
  readonly #options: EventRecorderOptions;
  /** Names of written events, oldest first. */
  readonly #written = new Set<string>();
  /** Until then nothing is tried (performance.now()). */
  #forbiddenUntil = 0;

  constructor(options: EventRecorderOptions) {
    this.#options = options;
  }

  /** Something is wrong. `reason` is CamelCase and stable; `object` needs a uid. */
  async warning(object: KubeObject, reason: string, message: string, details?: EventDetails): Promise<void> {
    await this.#record('Warning', object, reason, message, details);
  }

  /** Something worth knowing happened. */
  async normal(object: KubeObject, reason: string, message: string, details?: EventDetails): Promise<void> {
    await this.#record('Normal', object, reason, message, details);
  }

  async #record(
    type: string,
    object: KubeObject,
    reason: string,
    message: string,
    details: EventDetails = {},
  ): Promise<void> {
    const { client, logger } = this.#options;
    const event = this.#event(type, object, reason, cut(redact(message)), details);
    const name = event.metadata.name;
    if (this.#written.has(name) || performance.now() < this.#forbiddenUntil) return;
    this.#remember(name);
    try {
      await client.create(eventType, event);
    } catch (error) {
      if (error instanceof ApiError && (error.alreadyExists || isNamespaceEnding(error))) return;
      this.#written.delete(name);
      if (error instanceof ApiError && error.forbidden) {
        this.#forbiddenUntil = performance.now() + forbiddenPauseMs;
      }
      logger?.warn({ error, reason, object: object.metadata.name }, 'Could not record an event');
    }
  }

  #event(type: string, object: KubeObject, reason: string, message: string, details: EventDetails) {
    const { action = reason, occurrence } = details;
    const { component, instance, now = () => new Date() } = this.#options;
    const { name, namespace, uid, resourceVersion } = object.metadata;
    const at = now().toISOString();
    // The API server puts events about cluster-scoped objects into `default` and nowhere else.
    const home = namespace ?? 'default';
    return {
      apiVersion: 'v1',
      kind: 'Event',
      metadata: { name: eventName(object, [type, reason, message, occurrence ?? '']), namespace: home },
      involvedObject: {
        apiVersion: object.apiVersion,
        kind: object.kind,
        name,
        namespace,
        uid,
        resourceVersion,
      },
      type,
      reason,
      message,
      action,
      count: 1,
      firstTimestamp: at.replace(/\.\d+Z/, 'Z'),
      lastTimestamp: at.replace(/\.\d+Z/, 'Z'),
      eventTime: null,
      source: { component },
      reportingComponent: component,
      reportingInstance: instance.slice(0, 128),
    };
  }

  #remember(name: string): void {
    this.#written.add(name);
    for (const oldest of this.#written) {
      if (this.#written.size <= mostRemembered) return;
      this.#written.delete(oldest);
    }
  }
}

/** The object's name, so that a list is readable, and a hash of all that makes the cause. */
function eventName(object: KubeObject, what: readonly string[]): string {
  const { uid, name } = object.metadata;
  const cause = [uid ?? '', object.kind, name, ...what].join('\n');
  const hash = createHash('sha256').update(cause).digest('hex').slice(0, 20);
  // A name has at most 253 characters.
  return `${name.slice(0, 232).replace(/[.-]+$/, '')}.${hash}`;
}

function isNamespaceEnding(error: ApiError): boolean {
  return error.causes.some((cause) => cause.reason === 'NamespaceTerminating');
}

function cut(message: string): string {
  const bytes = Buffer.from(message);
  if (bytes.length <= longestMessage) return message;
  // The last character may be cut in half, which decodes to U+FFFD.
  return `${bytes
    .subarray(0, longestMessage - 3)
    .toString()
    .replace(/\uFFFD+$/, '')}…`;
}
