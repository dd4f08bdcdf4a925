/** What the broker's processes say to each other about the cache volume: JSON by POST, over the sockets nginx asks on. */
import { request } from 'node:http';
import { text } from 'node:stream/consumers';
import { z } from 'zod';
import type { FilledBlob } from './scrubber.ts';

/** Sent to the first process by another one: when it wants an answer to be kept, and every few seconds. */
export interface Told {
  /** Its socket. */
  readonly from: string;
  /** All it has promised to nginx that may not be written yet, in bytes. */
  readonly outstanding: number;
  readonly wish?: { readonly mirror: string; readonly bytes: number } | undefined;
  /** Of which slices came in since it last told. */
  readonly filled: readonly FilledBlob[];
}

export const toldSchema = z.strictObject({
  from: z.string(),
  outstanding: z.number().min(0),
  wish: z.strictObject({ mirror: z.string(), bytes: z.number().min(0) }).optional(),
  filled: z.array(z.strictObject({ mirror: z.string(), digest: z.string(), totalBytes: z.int().min(0) })),
});

export const targets = {
  purge: '/-/purge',
  scrub: '/-/scrub',
  /** To every process but the first: what it remembers of a mirror's objects is not to be trusted any more. */
  forget: '/-/forget',
  tell: '/-/tell',
} as const;

/** A process that does not answer within this is down, and remembers nothing. Milliseconds. */
const limitMs = 2_000;

/** Posts JSON to a socket of the broker; returns the JSON of a 200, rejects for everything else. */
export async function post(socketPath: string, path: string, body: unknown): Promise<unknown> {
  const signal = AbortSignal.timeout(limitMs);
  const { promise, resolve, reject } = Promise.withResolvers<unknown>();
  const asked = request({ socketPath, path, method: 'POST', signal, agent: false }, (response) => {
    text(response).then((answer) => {
      if (response.statusCode === 200) resolve(JSON.parse(answer));
      else reject(new Error(`${path}: expected 200 of another broker process, got ${response.statusCode}`));
    }, reject);
  });
  asked.on('error', reject);
  asked.end(JSON.stringify(body));
  return promise;
}
