/** What a scriptable upstream can be told to do wrong, and how it sends a body while doing so. */
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';

/** All optional; nothing set is a good registry. Changed at any time by assigning to `upstream.faults`. */
export interface Faults {
  /** Answer everything below /v2/<repository> with this status. */
  status?: number;
  retryAfter?: string;
  /** Wait before the headers, in milliseconds. */
  delayMs?: number;
  /** Break the connection after so many body bytes, as many times as `breaks` says (default: always). */
  breakAfter?: number;
  breaks?: number;
  /** Break by falling silent instead of by closing. */
  silent?: boolean;
  /** Send at most so many bytes each 10 ms. */
  drip?: number;
  /** Ignore Range. */
  noRange?: boolean;
  /** Leave Content-Length away (chunked). */
  noLength?: boolean;
  /** Change one byte of every body. */
  corrupt?: boolean;
  /** A body of no bytes instead of the object. */
  empty?: boolean;
  /** State a Content-Range that begins so many bytes later. */
  shiftRange?: number;
  /** State another total size in Content-Range. */
  total?: number;
  /** A web page with status 200 instead of what was asked for. */
  portal?: boolean;
  contentEncoding?: string;
  /** A Docker-Content-Digest that is not the manifest's, or none. */
  statedDigest?: string | 'none';
  /** The same of every HEAD. */
  headDelayMs?: number;
  /** Answer every HEAD with this status. */
  headStatus?: number;
  /** Further headers of every object. */
  headers?: Record<string, string>;
}

/** Sends bytes (or the range asked for) under the given faults; counts what left through `count`. */
export async function sendBytes(
  request: IncomingMessage,
  response: ServerResponse,
  bytes: Buffer,
  options: { faults: Faults; headers: Record<string, string>; count: (bytes: number) => void },
): Promise<void> {
  const { faults } = options;
  const sound = faults.empty ? Buffer.alloc(0) : faults.corrupt ? corrupted(bytes) : bytes;
  const range = faults.noRange ? null : /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '');
  const start = range === null ? 0 : Number(range[1]);
  if (range !== null && start >= sound.length) {
    response.writeHead(416, { 'Content-Range': `bytes */${sound.length}` }).end();
    return;
  }
  const end = Math.min(range?.[2] ? Number(range[2]) : sound.length - 1, sound.length - 1);
  const body = sound.subarray(start, end + 1);
  const shift = faults.shiftRange ?? 0;
  response.writeHead(range === null ? 200 : 206, {
    ...options.headers,
    ...faults.headers,
    ...(faults.contentEncoding === undefined ? {} : { 'Content-Encoding': faults.contentEncoding }),
    ...(faults.noLength ? {} : { 'Content-Length': String(body.length) }),
    ...(range === null
      ? {}
      : { 'Content-Range': `bytes ${start + shift}-${end + shift}/${faults.total ?? sound.length}` }),
  });
  if (request.method === 'HEAD') response.end();
  else await sendBody(response, body, options);
}

async function sendBody(
  response: ServerResponse,
  body: Buffer,
  { faults, count }: { faults: Faults; count: (bytes: number) => void },
): Promise<void> {
  const breaks = faults.breakAfter !== undefined && faults.breakAfter < body.length && faults.breaks !== 0;
  if (breaks && faults.breaks !== undefined) faults.breaks--;
  const whole = breaks ? body.subarray(0, faults.breakAfter) : body;
  const step = faults.drip ?? 256 * 1024;
  for (let at = 0; at < whole.length; at += step) {
    const piece = whole.subarray(at, at + step);
    if (response.destroyed) return;
    count(piece.length);
    if (!response.write(piece)) await drained(response);
    if (faults.drip !== undefined) await delay(10);
  }
  if (!breaks) response.end();
  // What was written reaches the client before the end does.
  else if (!faults.silent) response.socket?.end(() => response.destroy());
}

/** Resolves when more can be written, or nobody reads any more. */
async function drained(response: ServerResponse): Promise<void> {
  const over = new AbortController();
  const { signal } = over;
  await Promise.race([once(response, 'drain', { signal }), once(response, 'close', { signal })]).catch(
    () => {},
  );
  over.abort();
}

function corrupted(bytes: Buffer): Buffer {
  const copy = Buffer.from(bytes);
  const middle = copy.length >> 1;
  if (copy.length > 0) copy[middle] = (copy[middle] ?? 0) ^ 1;
  return copy;
}
