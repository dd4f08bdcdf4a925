/** What the broker's first socket answers about the cache volume, beside nginx's questions. Nothing that changes it is a GET. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { z } from 'zod';
import { errorMessage } from '../../../observe/error-message.ts';
import { parseDigest } from '../../../registry/digest.ts';
import { isRepository, isTag } from '../../../registry/repository.ts';
import { type Answer, errorAnswer, jsonAnswer } from '../answer.ts';
import { type Told, targets, toldSchema } from './process-link.ts';
import type { PurgeTarget, Removed } from './purge.ts';
import type { StoreReport } from './store-report.ts';

/** What is to be purged, as it was asked for. */
export interface PurgeOrder {
  readonly mirror: string;
  readonly repository: string;
  readonly reference: PurgeTarget['reference'];
}

/** Does what is asked; undefined for a mirror that is not there. */
export interface StoreActions {
  purge(order: PurgeOrder): Promise<Removed | undefined>;
  /** Returns how many blobs will be verified. */
  scrub(mirror: string): Promise<{ readonly queued: number } | undefined>;
  forget(mirror: string, corrupt?: string): void;
  tell(told: Told): Promise<{ readonly keep: boolean }>;
  report(): StoreReport | undefined;
}

/** The `StoreReport`, by GET. */
const reportTarget = '/-/store';
const maxBytes = 64 * 1024;

const mirrorSchema = z.strictObject({ mirror: z.string() });
const forgetSchema = mirrorSchema.extend({ corrupt: z.string().optional() });
const purgeSchema = z
  .strictObject({
    mirror: z.string(),
    repository: z.string().refine(isRepository, 'expected the name of a repository'),
    reference: z.string().optional(),
  })
  .transform(({ reference, ...rest }, context): PurgeOrder => {
    if (reference === undefined) return { ...rest, reference };
    const digest = parseDigest(reference);
    if (digest !== undefined) return { ...rest, reference: { digest } };
    if (isTag(reference)) return { ...rest, reference: { tag: reference } };
    context.addIssue({ code: 'custom', path: ['reference'], message: 'expected a tag or a digest' });
    return z.NEVER;
  });

/** Thrown for what the sender must mend. */
class BadRequest extends Error {}

/** True for a request that `answerStoreRequest` answers. */
export function isStoreRequest({ method, url = '' }: IncomingMessage): boolean {
  if (method === 'GET') return url === reportTarget;
  return method === 'POST' && Object.values<string>(targets).includes(url);
}

/** Answers one such request; never rejects. */
export async function answerStoreRequest(
  actions: StoreActions,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { status, headers, body } = await answerFor(actions, request).catch(failure);
  response.writeHead(status, { ...headers, 'Content-Length': Buffer.byteLength(body) });
  response.end(body);
}

async function answerFor(actions: StoreActions, request: IncomingMessage): Promise<Answer> {
  if (request.url === reportTarget) return found(actions.report());
  const body = await readJson(request);
  if (request.url === targets.tell) return jsonAnswer(200, await actions.tell(parse(toldSchema, body)));
  if (request.url === targets.purge) return found(await actions.purge(parse(purgeSchema, body)));
  if (request.url === targets.scrub) return found(await actions.scrub(parse(mirrorSchema, body).mirror));
  const { mirror, corrupt } = parse(forgetSchema, body);
  actions.forget(mirror, corrupt);
  return jsonAnswer(200, {});
}

function found(result: object | undefined): Answer {
  if (result === undefined) return errorAnswer(404, 'NAME_UNKNOWN', 'no such mirror');
  return jsonAnswer(200, result);
}

function failure(error: unknown): Answer {
  if (error instanceof BadRequest) return errorAnswer(400, 'UNSUPPORTED', error.message);
  return errorAnswer(500, 'UNKNOWN', errorMessage(error));
}

function parse<T>(schema: z.ZodType<T>, body: unknown): T {
  const parsed = schema.safeParse(body);
  if (parsed.success) return parsed.data;
  const faults = parsed.error.issues.map(({ path, message }) => `${path.join('.') || 'body'}: ${message}`);
  throw new BadRequest(faults.join('; '));
}

async function readJson(request: IncomingMessage): Promise<unknown> {
  const pieces: Buffer[] = [];
  let length = 0;
  for await (const piece of request as AsyncIterable<Buffer>) {
    length += piece.length;
    if (length > maxBytes) throw new BadRequest(`expected at most ${maxBytes} bytes`);
    pieces.push(piece);
  }
  try {
    return JSON.parse(Buffer.concat(pieces).toString());
  } catch {
    throw new BadRequest('expected JSON');
  }
}
