/** A mirror or an upstream that has one image, over plain HTTP or TLS on loopback, and counts what it is asked for. */

import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { ExecutionContext } from 'ava';
import type { Image } from './images.ts';

export interface ImageMirror {
  /** `http://127.0.0.1:PORT` or `https://127.0.0.1:PORT`. */
  readonly url: string;
  /** The targets of all requests so far. */
  readonly asked: string[];
  /** Ends it at once. */
  stop(): Promise<void>;
}

/** Starts it on a free port; ends with the test. */
export async function startImageMirror(
  t: Pick<ExecutionContext, 'teardown'>,
  image: Image,
  tls?: { readonly certificatePem: string; readonly keyPem: string },
): Promise<ImageMirror> {
  const asked: string[] = [];
  const answer: RequestListener = (request, response) => {
    asked.push(request.url ?? '');
    const reference = new URL(request.url ?? '', 'http://mirror').pathname.split('/').at(-1) ?? '';
    const manifest = image.manifests.find(({ digest, tags }) => [digest, ...tags].includes(reference));
    const found = manifest ?? image.blobs.find(({ digest }) => digest === reference);
    if (found === undefined) return void response.writeHead(404).end();
    const type = manifest?.mediaType ?? 'application/octet-stream';
    const headers = {
      'content-type': type,
      'content-length': found.content.length,
      'docker-content-digest': found.digest,
    };
    response.writeHead(200, headers).end(request.method === 'HEAD' ? undefined : found.content);
  };
  const server =
    tls === undefined
      ? createServer(answer)
      : createTlsServer({ cert: tls.certificatePem, key: tls.keyPem }, answer);
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const stop = async () => {
    if (!server.listening) return;
    const closed = once(server, 'close');
    server.close();
    server.closeAllConnections();
    await closed;
  };
  t.teardown(stop);
  const { port } = server.address() as AddressInfo;
  return { url: `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}`, asked, stop };
}
