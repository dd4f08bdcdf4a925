/** What a request to the API server can fail with. Messages name verb and path and pass `redact`. */
import { redact } from '../observe/redact.ts';

/** One entry of `details.causes` of a Status: which field (or field manager) the server objects to. */
export interface StatusCause {
  reason?: string;
  message?: string;
  field?: string;
}

/** The part of a `v1.Status` that is read here. */
export interface StatusBody {
  status?: string;
  message?: string;
  reason?: string;
  code?: number;
  details?: { causes?: StatusCause[]; retryAfterSeconds?: number };
}

/** Server-side apply answers a field that it does not know with 500 and without a reason: these words are all that tells it. */
const untyped = 'failed to create typed patch object';

/** Longer answers are cut: a 422 of a StatefulSet lists every field of it. */
const longestMessage = 2048;

/** The API server answered with something other than success. */
export class ApiError extends Error {
  readonly status: number;
  /** `Status.reason` (`NotFound`, `AlreadyExists`, `Expired`, ...); empty if the answer was no Status. */
  readonly reason: string;
  readonly causes: StatusCause[];
  readonly #isUntyped: boolean;
  /** From `Retry-After` or the Status' details, if the server asked for a pause. */
  readonly retryAfterMs?: number;

  constructor(what: string, status: number, body: StatusBody = {}, retryAfterMs?: number) {
    const reason = body.reason ?? '';
    const said = redact(body.message ?? '').slice(0, longestMessage);
    super([`${what}: ${status}`, reason, said].filter((part) => part !== '').join(' '));
    this.name = 'ApiError';
    this.status = status;
    this.reason = reason;
    this.causes = body.details?.causes ?? [];
    this.#isUntyped = body.message?.startsWith(untyped) === true;
    const pause = retryAfterMs ?? secondsToMs(body.details?.retryAfterSeconds);
    if (pause !== undefined) this.retryAfterMs = pause;
  }

  /** The server will refuse the same request again: a bad field (422), one it does not know (500), or a request it cannot read (400). */
  get invalid(): boolean {
    return this.status === 422 || this.status === 400 || this.#isUntyped;
  }
  get unauthorized(): boolean {
    return this.status === 401;
  }
  get forbidden(): boolean {
    return this.status === 403;
  }
  /** 403 of the authorizer: rights are missing. Another 403 is that of a quota, a policy or a webhook; these words are all that tells them apart. */
  get lacksRights(): boolean {
    return this.forbidden && / is forbidden: User "/.test(this.message);
  }
  get notFound(): boolean {
    return this.status === 404;
  }
  /** The object exists already; never true together with `conflict`. */
  get alreadyExists(): boolean {
    return this.status === 409 && this.reason === 'AlreadyExists';
  }
  /** A stale `resourceVersion`, a failed precondition, or fields another manager owns. */
  get conflict(): boolean {
    return this.status === 409 && !this.alreadyExists;
  }
  /** The `resourceVersion` or continue token is too old: list again. */
  get gone(): boolean {
    return this.status === 410;
  }
  get tooManyRequests(): boolean {
    return this.status === 429;
  }
}

/** No usable answer: refused, reset, timed out, TLS, a body that is not what was promised. `cause` has the details. */
export class ConnectionError extends Error {
  constructor(what: string, message: string, options?: ErrorOptions) {
    super(`${what}: ${redact(message)}`, options);
    this.name = 'ConnectionError';
  }
}

/** The API server is away or has too much to do, which passes: nothing is said about what was asked. */
export function isUnavailable(error: unknown): boolean {
  return (
    error instanceof ConnectionError ||
    (error instanceof ApiError && (error.status >= 500 || error.tooManyRequests))
  );
}

/** Makes the error for an HTTP answer; `text` is its body (a Status, or whatever a proxy in between wrote). */
export function answerToError(what: string, status: number, text: string, retryAfter?: string): ApiError {
  const seconds = Number(retryAfter);
  const pause = retryAfter === undefined || !Number.isFinite(seconds) ? undefined : secondsToMs(seconds);
  return new ApiError(what, status, parseStatus(text), pause);
}

function parseStatus(text: string): StatusBody {
  try {
    const body: unknown = JSON.parse(text);
    if (typeof body === 'object' && body !== null && 'kind' in body && body.kind === 'Status') {
      return body as StatusBody;
    }
  } catch {
    // Not JSON: a proxy's page or the API server's plain text.
  }
  return { message: text.trim().slice(0, 200) };
}

function secondsToMs(seconds: number | undefined): number | undefined {
  return seconds === undefined || seconds < 0 ? undefined : seconds * 1000;
}
