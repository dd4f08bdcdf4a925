/** Asks one replica what it says of itself. */
import { isIPv6 } from 'node:net';
import { type CacheReport, parseCacheReport } from '../../cache/cache-report.ts';
import { ports } from '../../cache/ports.ts';
import { limitedText } from '../polling/limited-text.ts';

/** Takes the address of a pod; rejects where it does not answer in time, or with something else. */
export type FetchReport = (address: string, signal: AbortSignal) => Promise<CacheReport>;

const timeoutMs = 2_000;
/** Many times what one mirror has to tell. What answers there may be anything. */
const maxBytes = 256 * 1024;

/** `GET http://ADDRESS:9090/status`. */
export const fetchReport: FetchReport = async (address, signal) => {
  const host = isIPv6(address) ? `[${address}]` : address;
  const response = await fetch(`http://${host}:${ports.metrics}/status`, {
    redirect: 'error',
    signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
  });
  if (!response.ok) {
    await response.body?.cancel();
    throw new Error(`expected 200, got ${response.status}`);
  }
  return parseCacheReport(response.body === null ? '' : await limitedText(response.body, maxBytes));
};
