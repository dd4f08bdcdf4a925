/** What replicas tell each other in headers, which nginx takes away from everybody else. Pure. */
import { challengeText } from '../../../registry/challenge.ts';
import { parseRetryAfter, UpstreamError, UpstreamStatusError } from '../../../registry/upstream-error.ts';
import { identityHeader } from '../../upstream-identity.ts';

/** The status with which the upstream itself refused. */
export const upstreamStatusHeader = 'X-Upstream-Status';
/** Until when a tag may be told, in milliseconds since 1970 by the clock of the one who tells it. */
export const validUntilHeader = 'X-Valid-Until';
/** Asks the broker behind another replica's nginx what it knows, past what nginx has kept. */
export const refreshHeader = 'X-Registry-Refresh';

/** Clocks that differ by less are taken to be the same. Milliseconds. */
const tolerableSkew = 2_000;

type Headers = Readonly<Record<string, string | string[] | undefined>>;

/** One that takes its tags from another upstream is not asked about ours: configurations spread at different moments. */
export function isOfUpstream(headers: Headers, identity: string): boolean {
  return headers[identityHeader] === identity;
}

/**
 * What an answer of another replica that brings nothing means: `UpstreamStatusError` for a status by which the upstream
 * itself refused (which is then the answer), `UpstreamError` for everything that only the replica failed with.
 */
export function refusalOf(
  answer: { readonly status: number; readonly headers: Headers },
  replica: string,
  identity: string,
  now: number,
): UpstreamStatusError | UpstreamError {
  const stated = Number(answer.headers[upstreamStatusHeader.toLowerCase()] ?? 0);
  const status = answer.status === 416 ? 416 : isOfUpstream(answer.headers, identity) ? stated : 0;
  if (![401, 403, 404, 416, 429].includes(status)) {
    return new UpstreamError('answer', `${replica}: answered ${answer.status}`);
  }
  const { 'retry-after': retryAfter, 'www-authenticate': asked } = answer.headers;
  const retryAfterSeconds = parseRetryAfter(retryAfter, now);
  return new UpstreamStatusError(status, `${replica}: the upstream answered ${status}`, {
    retryAfterSeconds,
    challenge: challengeText(asked),
  });
}

/** Until when a tag may be told by our own clock (ms); undefined when it was not said. `receivedAt`: when the answer came (ms). */
export function validUntilOf(headers: Headers, receivedAt: number): number | undefined {
  const text = headers[validUntilHeader.toLowerCase()];
  if (typeof text !== 'string' || !/^\d{1,16}$/.test(text)) return undefined;
  const date = headers['date'];
  // A Date has no milliseconds: the later end of its second makes the life shorter, never longer.
  const skew = typeof date === 'string' ? Date.parse(date) + 1_000 - receivedAt : 0;
  return Number(text) - (Math.abs(skew) > tolerableSkew ? skew : 0);
}
