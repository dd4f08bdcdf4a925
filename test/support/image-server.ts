/** A registry that serves one image in any repository and counts who asks. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { ExecutionContext } from 'ava';
import type { Image } from './images.ts';

export interface ImageServer {
  /** `127.0.0.1:PORT`. */
  readonly host: string;
  /** Paths asked for since the last call. */
  readonly asked: () => string[];
  /** From now on its port is closed. */
  readonly stop: () => Promise<void>;
}

/** Starts it on a free port, over TLS where `tls` is given; ends it with the test. */
export async function startImageServer(
  t: Pick<ExecutionContext, 'teardown'>,
  image: Image,
  tls?: { readonly cert: Buffer; readonly key: Buffer },
): Promise<ImageServer> {
  const paths: string[] = [];
  const answer = (request: IncomingMessage, response: ServerResponse) => {
    paths.push(request.url ?? '');
    reply(image, request, response);
  };
  const server = tls === undefined ? createServer(answer) : createTlsServer(tls, answer);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const stop = async () => {
    if (!server.listening) return;
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  };
  t.teardown(stop);
  return {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked: () => paths.splice(0),
    stop,
  };
}

/** Answers one request as a registry that has the image in every repository. */
export function reply(image: Image, { url = '', method }: IncomingMessage, response: ServerResponse): void {
  if (url === '/v2/') return void response.end('{}');
  const reference = url.split('/').at(-1) ?? '';
  const manifest = image.manifests.find(
    ({ digest, tags }) => digest === reference || tags.includes(reference),
  );
  const found = url.includes('/manifests/')
    ? manifest
    : image.blobs.find(({ digest }) => digest === reference);
  if (found === undefined) return void response.writeHead(404).end();
  response.setHeader('content-length', found.content.length);
  response.setHeader('docker-content-digest', found.digest);
  response.setHeader('content-type', found === manifest ? manifest.mediaType : 'application/octet-stream');
  response.end(method === 'HEAD' ? undefined : found.content);
}
