/** What nginx is told: whole small answers, and how long each may be kept. Pure. */
import { errorMessage } from '../../observe/error-message.ts';
import { UpstreamError, type UpstreamFailure, UpstreamStatusError } from '../../registry/upstream-error.ts';

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

const statusOf: Readonly<Record<UpstreamFailure, number>> = {
  dns: 502,
  refused: 502,
  tls: 502,
  timeout: 504,
  broken: 502,
  redirect: 502,
  token: 502,
  answer: 502,
  digest: 502,
};

/** The header by which nginx knows how long to keep an answer; 0: not at all. */
export function keepFor(seconds: number): Record<string, string> {
  return { 'X-Accel-Expires': String(seconds) };
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

/**
 * Takes whatever a miss failed with and returns its answer. `unknown` is the code for what does not exist. Never a
 * challenge, and never 429: containerd would ask the same host up to six times.
 */
export function failureAnswer(error: unknown, unknown: string): Answer {
  if (error instanceof UpstreamError) {
    return errorAnswer(statusOf[error.code], 'UNAVAILABLE', errorMessage(error), { seconds: failedSeconds });
  }
  if (error instanceof UpstreamStatusError) return statusAnswer(error, unknown);
  return errorAnswer(500, 'UNKNOWN', 'internal error');
}

function statusAnswer(error: UpstreamStatusError, unknown: string): Answer {
  const { status, retryAfterSeconds: retryAfter } = error;
  const message = errorMessage(error);
  if (status === 404) return errorAnswer(404, unknown, message, { seconds: missingSeconds });
  if (status === 401) return errorAnswer(401, 'UNAUTHORIZED', message);
  if (status === 403) return errorAnswer(403, 'DENIED', message);
  if (status === 429) {
    const options = { seconds: failedSeconds, retryAfter: retryAfter ?? 60 };
    return errorAnswer(503, 'TOOMANYREQUESTS', message, options);
  }
  if (status === 408) return errorAnswer(504, 'UNAVAILABLE', message, { seconds: failedSeconds });
  if (status >= 400 && status < 500 && status !== 407) return errorAnswer(status, 'UNSUPPORTED', message);
  const own = status === 503 || status === 504 ? status : 502;
  return errorAnswer(own, 'UNAVAILABLE', message, { seconds: failedSeconds, retryAfter });
}
