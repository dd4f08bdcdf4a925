/** What nginx is told: whole small answers, and how long each may be kept. Pure. */
import { errorMessage } from '../../observe/error-message.ts';
import { UpstreamError, type UpstreamFailure, UpstreamStatusError } from '../../registry/upstream-error.ts';

import { upstreamStatusHeader } from './peers/told.ts';

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer | string;
}

/** Blobs and manifests by digest never change: a year, until evicted. Seconds. */
export const forever = 31_536_000;
/** Misses that may be filled any moment. Seconds. */
const missingSeconds = 5;
/** Those who waited for one failed fill fail with it, instead of each trying in turn. Seconds. */
const failedSeconds = 2;
/** The same for a refusal, which new credentials may end any moment. Seconds. */
const refusedSeconds = 1;

const statusOf: Readonly<Record<UpstreamFailure, number>> = {
  dns: 502,
  refused: 502,
  tls: 502,
  timeout: 504,
  broken: 502,
  proxy: 502,
  redirect: 502,
  token: 502,
  answer: 502,
  digest: 502,
};

/** The header by which nginx knows how long to keep an answer; 0: not at all. */
export function keepFor(seconds: number): Record<string, string> {
  return { 'X-Accel-Expires': String(seconds) };
}

/** The same until a moment (ms since 1970). nginx counts whole seconds, the last one included; never 0, which is no moment for it. */
export function keepUntil(ms: number): Record<string, string> {
  return { 'X-Accel-Expires': `@${Math.max(1, Math.floor(ms / 1000))}` };
}

export function jsonAnswer(status: number, value: unknown, seconds = 0): Answer {
  return {
    status,
    headers: { 'Content-Type': 'application/json', ...keepFor(seconds) },
    body: JSON.stringify(value),
  };
}

/** An error in the form of the distribution specification ("Error Codes"). */
export function errorAnswer(
  status: number,
  code: string,
  message: string,
  options: { seconds?: number; retryAfter?: number | undefined } = {},
): Answer {
  const answer = jsonAnswer(status, { errors: [{ code, message }] }, options.seconds ?? 0);
  if (options.retryAfter === undefined) return answer;
  return { ...answer, headers: { ...answer.headers, 'Retry-After': String(options.retryAfter) } };
}

/** How long a failure stands for others who ask for the same object of the same repository. Seconds. */
export function failureSeconds(error: unknown): number {
  if (error instanceof UpstreamError) return failedSeconds;
  if (!(error instanceof UpstreamStatusError)) return 0;
  const { status } = error;
  if (status === 404) return missingSeconds;
  if (status === 401 || status === 403) return refusedSeconds;
  const isTheRequest = status >= 400 && status < 500 && ![407, 408, 429].includes(status);
  return isTheRequest ? 0 : failedSeconds;
}

/**
 * How long the broker itself answers with a failure: nginx asks for each a second time, for the answer. Not as long as nginx keeps it, since
 * the two add up. Milliseconds.
 */
export function failureMs(error: unknown): number {
  return Math.min(failedSeconds, failureSeconds(error)) * 1000;
}

/**
 * What a client is told that has the upstream itself behind us (docs/adr/0011): nothing of which it could think that
 * the upstream said it. 404 and 503 make it go there.
 */
export function forFallback(answer: Answer, unknown: string): Answer {
  const { status, headers } = answer;
  if (status === 401 || status === 403) return { ...errorAnswer(404, unknown, 'not for everybody'), headers };
  return status >= 500 ? { ...answer, status: 503 } : answer;
}

/**
 * Takes whatever a miss failed with and returns its answer. `unknown` is the code for what does not exist, `seconds`
 * how long nginx may keep it. Never a challenge, and never 429: containerd would ask the same host up to six times.
 */
export function failureAnswer(error: unknown, unknown: string, seconds = failureSeconds(error)): Answer {
  if (error instanceof UpstreamError) {
    return errorAnswer(statusOf[error.code], 'UNAVAILABLE', errorMessage(error), { seconds });
  }
  if (error instanceof UpstreamStatusError) {
    const answer = statusAnswer(error, unknown, seconds);
    return { ...answer, headers: { ...answer.headers, [upstreamStatusHeader]: String(error.status) } };
  }
  return errorAnswer(500, 'UNKNOWN', 'internal error');
}

function statusAnswer(error: UpstreamStatusError, unknown: string, seconds: number): Answer {
  const { status, retryAfterSeconds: retryAfter } = error;
  const message = errorMessage(error);
  if (status === 404) return errorAnswer(404, unknown, message, { seconds });
  if (status === 401) return errorAnswer(401, 'UNAUTHORIZED', message, { seconds });
  if (status === 403) return errorAnswer(403, 'DENIED', message, { seconds });
  if (status === 429) {
    const options = { seconds, retryAfter: retryAfter ?? 60 };
    return errorAnswer(503, 'TOOMANYREQUESTS', message, options);
  }
  if (status === 408) return errorAnswer(504, 'UNAVAILABLE', message, { seconds });
  if (status >= 400 && status < 500 && status !== 407)
    return errorAnswer(status, 'UNSUPPORTED', message, { seconds });
  const own = status === 503 || status === 504 ? status : 502;
  return errorAnswer(own, 'UNAVAILABLE', message, { seconds, retryAfter });
}
