/** What the nginx of a pod is to `warm`: HTTP on a unix socket that serves images, and fails as it is told. */
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import type { Image } from './images.ts';

export interface ScriptedCache {
  readonly socketPath: string;
  /** `METHOD path[ range]` of each request, without `/v2/MASQUERADE/`. */
  readonly requests: string[];
  /** Most requests for blobs under way at once. */
  readonly peak: () => number;
  /** Answers a request itself and returns true, or leaves it to what serves the image. */
  fault: (request: IncomingMessage, response: ServerResponse) => boolean;
}

/** Serves every repository alike; ends with the test. */
export async function startScriptedCache(t: ExecutionContext, image: Image): Promise<ScriptedCache> {
  const dir = mkdtempSync(join(tmpdir(), 'scripted-cache-'));
  const socketPath = join(dir, 'local.sock');
  let running = 0;
  let peak = 0;
  const cache: ScriptedCache = { socketPath, requests: [], peak: () => peak, fault: () => false };
  const server = createServer((request, response) => {
    const { range = '' } = request.headers;
    const path = request.url?.replace(/^\/v2\/[^/]+\//, '') ?? '';
    cache.requests.push(`${request.method} ${path} ${range}`.trimEnd());
    if (path.includes('/blobs/')) {
      peak = Math.max(peak, ++running);
      response.once('close', () => running--);
    }
    if (!cache.fault(request, response)) serve(image, request, response);
  });
  server.listen(socketPath);
  await once(server, 'listening');
  t.teardown(() => {
    server.close();
    server.closeAllConnections();
    rmSync(dir, { recursive: true, force: true });
  });
  return cache;
}

/** Answers from the image: manifests by tag and digest, blobs whole or from a byte on. */
export function serve(image: Image, request: IncomingMessage, response: ServerResponse): void {
  const reference = request.url?.split('/').at(-1) ?? '';
  const manifest = image.manifests.find(
    ({ digest, tags }) => digest === reference || tags.includes(reference),
  );
  const content = manifest?.content ?? image.blobs.find(({ digest }) => digest === reference)?.content;
  if (content === undefined) {
    response.writeHead(404).end();
    return;
  }
  const start = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
  const body = content.subarray(start);
  response.writeHead(start > 0 ? 206 : 200, {
    'content-type': manifest?.mediaType ?? 'application/octet-stream',
    'content-length': body.length,
    ...(manifest && { 'docker-content-digest': manifest.digest }),
    ...(start > 0 && { 'content-range': `bytes ${start}-${content.length - 1}/${content.length}` }),
  });
  response.end(request.method === 'HEAD' ? undefined : body);
}
