/** Asks the broker of one's own pod or machine to remove objects from the cache. */
import { request } from 'node:http';
import { text } from 'node:stream/consumers';
import * as z from 'zod';

/** What is removed of a mirror: a repository, in all spellings that clients have for it, or one tag or digest of it. */
export interface PurgeOrder {
  readonly mirror: string;
  readonly repository: string;
  /** A tag or a digest, of a manifest or a blob; absent: the whole repository. */
  readonly reference?: string | undefined;
}

/** Files removed and their bytes. */
export interface PurgeResult {
  readonly removed: number;
  readonly bytes: number;
}

const result = z.object({ removed: z.int().min(0), bytes: z.int().min(0) });

/**
 * The whole cache may have to be looked through, three times for a repository: some TiB take more than ten minutes. A broker
 * that ends ends this at once. Milliseconds.
 */
const answerMs = 60 * 60_000;

/** Resolves when it is done; rejects when nobody answers on `socketPath` or the broker refuses. */
export async function askPurge(
  socketPath: string,
  order: PurgeOrder,
  signal: AbortSignal,
): Promise<PurgeResult> {
  const { status, body } = await post(socketPath, JSON.stringify(order), signal).catch((cause: unknown) => {
    signal.throwIfAborted();
    throw new Error(`no broker answers on ${socketPath}`, { cause });
  });
  if (status !== 200) throw new Error(`the broker answered ${status} to a purge: ${body.slice(0, 200)}`);
  return result.parse(JSON.parse(body));
}

function post(
  socketPath: string,
  body: string,
  signal: AbortSignal,
): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/json' };
    const options = {
      socketPath,
      method: 'POST',
      path: '/-/purge',
      headers,
      agent: false,
      timeout: answerMs,
      signal,
    };
    const asked = request(options, (answer) => {
      text(answer).then((said) => resolve({ status: answer.statusCode ?? 0, body: said }), reject);
    });
    asked.on('timeout', () => asked.destroy(new Error('no answer within an hour; it may still be at it')));
    asked.on('error', reject).end(body);
  });
}
