/**
 * A registry with the referrers API: distribution's has none. Answers `referrers/` itself, from what was pushed, and passes
 * everything else on to a real registry.
 */
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, request } from 'node:https';
import type { AddressInfo } from 'node:net';
import { makeLeaf } from '../support/certificates.ts';
import type { TestRegistry } from '../support/registry.ts';
import { type Content, mediaTypes } from './content.ts';

export interface ReferrersFront {
  /** `127.0.0.1:PORT`. */
  readonly host: string;
  stop(): Promise<void>;
}

/** Starts it over TLS with a certificate of the registry's own authority. */
export async function startReferrersFront(registry: TestRegistry, content: Content): Promise<ReferrersFront> {
  const { certificatePem: cert, keyPem: key } = await makeLeaf(registry.authority, ['127.0.0.1'], 'front');
  const server = createServer({ cert, key }, (asked, answer) => {
    const url = new URL(asked.url ?? '/', 'https://front');
    const [, digest] = /^\/v2\/.+\/referrers\/(sha256:[0-9a-f]{64})$/.exec(url.pathname) ?? [];
    if (digest === undefined) passOn(registry, asked, answer);
    else answerReferrers(content, digest, url.searchParams.get('artifactType'), answer);
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    async stop() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

function answerReferrers(
  content: Content,
  digest: string,
  wanted: string | null,
  answer: ServerResponse,
): void {
  const manifests = content.referrers
    .filter(
      ({ artifactType }) => digest === content.manifest.digest && (wanted ?? artifactType) === artifactType,
    )
    .map(({ artifactType, manifest }) => ({
      mediaType: manifest.mediaType,
      digest: manifest.digest,
      size: manifest.content.length,
      artifactType,
    }));
  answer.writeHead(200, {
    'Content-Type': mediaTypes.index,
    ...(wanted !== null && { 'OCI-Filters-Applied': 'artifactType' }),
  });
  answer.end(JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.index, manifests }));
}

function passOn({ port, authority }: TestRegistry, asked: IncomingMessage, answer: ServerResponse): void {
  const { method, url: path, headers } = asked;
  const options = {
    host: '127.0.0.1',
    port,
    ca: authority.certificatePem,
    method,
    path,
    headers,
    agent: false,
  };
  const upstream = request(options as object, (response) => {
    answer.writeHead(response.statusCode ?? 502, response.headers);
    response.pipe(answer);
  });
  upstream.on('error', () => answer.destroy());
  asked.pipe(upstream);
}
