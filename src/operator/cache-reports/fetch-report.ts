/** Asks one replica what it says of itself. */
import { isIPv6 } from 'node:net';
import { type CacheReport, parseCacheReport } from '../../cache/cache-report.ts';
import { ports } from '../../cache/ports.ts';

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
  return parseCacheReport(await limitedText(response));
};

async function limitedText({ body }: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of body ?? []) {
    bytes += chunk.length;
    if (bytes > maxBytes) throw new Error(`expected at most ${maxBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}
