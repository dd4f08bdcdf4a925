/** Reads the line-delimited JSON of a watch. */
import type { Readable } from 'node:stream';
import { ConnectionError } from './errors.ts';
import type { KubeObject } from './object.ts';
import { describe, type Transport, type TransportRequest, toConnectionError } from './transport.ts';

/** One line of a watch. A BOOKMARK's object carries only a resourceVersion, an ERROR's is a `v1.Status`. */
export type WatchEvent<T extends KubeObject = KubeObject> =
  | { type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK'; object: T }
  | { type: 'ERROR'; object: KubeObject };

/** Far above what etcd takes as one object (1.5 MiB); a longer line is not a watch. */
const longestLine = 32 * 1024 * 1024;
const eventTypes = new Set(['ADDED', 'MODIFIED', 'DELETED', 'BOOKMARK', 'ERROR']);

/** Sends the request and yields its events; leaving the loop closes the connection. */
export async function* readWatch<T extends KubeObject>(
  transport: Transport,
  request: TransportRequest,
  onOpen?: () => void,
): AsyncGenerator<WatchEvent<T>> {
  const { body } = await transport.send(request);
  onOpen?.();
  try {
    for await (const line of lines(request, body)) yield parse<T>(request, line);
  } catch (error) {
    throw toConnectionError(request, error);
  } finally {
    body.on('error', ignoreLateError).destroy();
  }
}

async function* lines(request: TransportRequest, body: Readable): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of body as AsyncIterable<Buffer>) {
    const parts = (rest + decoder.decode(chunk, { stream: true })).split('\n');
    rest = parts.pop() ?? '';
    if (rest.length > longestLine) throw new ConnectionError(describe(request), 'a line without end');
    for (const part of parts) if (part.trim() !== '') yield part;
  }
  if (rest.trim() !== '') throw new ConnectionError(describe(request), 'the last line is cut off');
}

function parse<T extends KubeObject>(request: TransportRequest, line: string): WatchEvent<T> {
  let event: Partial<WatchEvent<T>>;
  try {
    event = JSON.parse(line) as WatchEvent<T>;
  } catch {
    // The parser's message quotes the line, which may be a Secret.
    throw new ConnectionError(describe(request), 'a line is not JSON');
  }
  if (!eventTypes.has(event.type ?? '') || typeof event.object !== 'object' || event.object === null) {
    throw new ConnectionError(describe(request), 'a line is not a watch event');
  }
  return event as WatchEvent<T>;
}

/** `destroy` in the middle of a body makes undici emit an AbortError nobody waits for any more. */
function ignoreLateError(): void {}
