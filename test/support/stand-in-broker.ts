/** Stands in for broker processes: what nginx asks is recorded, what it is answered is the test's affair. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ExecutionContext } from 'ava';
import { brokerSocket } from '../../src/cache/cache-config.ts';
import { inChunks } from '../../src/cache/slice-body.ts';
import type { TestCache } from './nginx.ts';

export interface StandInBroker {
  /** What was asked, by process. */
  readonly seen: readonly IncomingMessage[][];
  /** Ends one process as a crash would. */
  end(index: number): Promise<void>;
}

/** Takes the place of the cache's broker until the test ends. */
export async function standInBroker(
  t: ExecutionContext,
  cache: TestCache,
  answer: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<StandInBroker> {
  await cache.stopBroker();
  const { paths, brokerProcesses } = cache.config;
  const seen: IncomingMessage[][] = Array.from({ length: brokerProcesses }, () => []);
  const servers = seen.map((requests) =>
    createServer((request, response) => {
      requests.push(request);
      answer(request, response);
    }),
  );
  const end = async (index: number) => {
    const server = servers[index];
    if (!server?.listening) return;
    const closed = once(server, 'close');
    server.close();
    server.closeAllConnections();
    await closed;
  };
  t.teardown(() => Promise.all(servers.map((_, index) => end(index))));
  for (const [index, server] of servers.entries()) {
    server.listen(brokerSocket(paths, index));
    await once(server, 'listening');
  }
  return { seen, end };
}

/** Answers a question for a slice of `blob` as the broker does; with `bytes` it dies when so many of the slice were sent. */
export async function sendSlice(
  { headers: { range = '' } }: IncomingMessage,
  response: ServerResponse,
  blob: Buffer,
  bytes?: number,
): Promise<void> {
  const [start = 0, end = 0] = /^bytes=(\d+)-(\d+)$/.exec(range)?.slice(1).map(Number) ?? [];
  const slice = blob.subarray(start, end + 1);
  response.writeHead(206, {
    'Content-Range': `bytes ${start}-${start + slice.length - 1}/${blob.length}`,
    'X-Accel-Expires': '3600',
  });
  response.flushHeaders();
  const pieces = inChunks(Readable.from([slice.subarray(0, bytes)]));
  await pipeline(pieces, response, { end: bytes === undefined });
  if (bytes !== undefined) response.socket?.end();
}
