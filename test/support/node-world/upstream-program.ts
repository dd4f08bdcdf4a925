/**
 * What is outside of the test's node: registries behind TLS with Bearer tokens, and DNS. A program of its own, inside the node's network.
 * `node upstream-program.ts FOLDER`: writes `ca.crt` and `asked.log` there, prints `ready`, runs until it is killed.
 */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { appendFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import { join } from 'node:path';
import { makeAuthority, makeLeaf } from '../certificates.ts';
import { reply } from '../image-server.ts';
import { startTokenServer, type TokenServer } from '../token-server.ts';
import { addresses, authPort, image, privateImage, upstreamNames, user } from './names.ts';

const [folder = '.'] = process.argv.slice(2);
const authority = await makeAuthority(folder, 'public authority');
const at = { name: 'auth.registry.test', address: addresses.upstream, port: authPort };
const tokens = await startTokenServer({ authority, ...user, publicPrefix: 'library', at });
const { certificatePem, keyPem } = await makeLeaf(authority, upstreamNames, 'registry');
const registry = createServer({ cert: certificatePem, key: keyPem }, (request, response) => {
  // Before the answer, so that whoever has it finds the line.
  const { method = '', url = '', headers } = request;
  const isServed = isAllowed(request, tokens);
  const asked = { host: headers.host ?? '', method, path: url, agent: headers['user-agent'] ?? '', isServed };
  appendFileSync(join(folder, 'asked.log'), `${JSON.stringify(asked)}\n`);
  if (isServed) reply(isPublic(url) ? image : privateImage, request, response);
  else challenge(url, response);
});
await once(registry.listen(443, addresses.upstream), 'listening');
await startDns();
process.stdout.write('ready\n');

function repositoryOf(url: string): string | undefined {
  return /^\/v2\/(.+)\/(?:manifests|blobs)\//.exec(url)?.[1];
}

function isPublic(url: string): boolean {
  return repositoryOf(url)?.startsWith('library/') !== false;
}

function isAllowed({ url = '', headers }: IncomingMessage, { issued }: TokenServer): boolean {
  const token = /^Bearer (.+)$/.exec(headers.authorization ?? '')?.[1];
  if (token === undefined || !issued.includes(token)) return false;
  const [, claims = ''] = token.split('.');
  const { access } = JSON.parse(Buffer.from(claims, 'base64url').toString()) as {
    access: { name: string }[];
  };
  const repository = repositoryOf(url);
  return repository === undefined || access.some(({ name }) => name === repository);
}

function challenge(url: string, response: ServerResponse): void {
  const repository = repositoryOf(url);
  const scope = repository === undefined ? '' : `,scope="repository:${repository}:pull"`;
  response.setHeader('www-authenticate', `Bearer realm="${tokens.realm}",service="test-registry"${scope}`);
  response.writeHead(401, { 'content-type': 'application/json' });
  response.end('{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}');
}

/** Answers for the upstreams' names; nothing else exists (RFC 1035). */
async function startDns(): Promise<void> {
  const socket = createSocket('udp4');
  socket.on('message', (query, { address, port }) => socket.send(answerTo(query), port, address));
  socket.bind(53, addresses.dns);
  await once(socket, 'listening');
}

function answerTo(query: Buffer): Buffer {
  const labels: string[] = [];
  let end = 12;
  for (; query[end] !== 0; end += (query[end] ?? 0) + 1)
    labels.push(query.toString('latin1', end + 1, end + 1 + (query[end] ?? 0)));
  const question = query.subarray(12, end + 5);
  const isKnown = upstreamNames.includes(labels.join('.').toLowerCase());
  const isFour = query.readUInt16BE(end + 1) === 1;
  const head = Buffer.from(query.subarray(0, 12));
  // A response, recursion available; NXDOMAIN for what nobody knows.
  head.writeUInt16BE(isKnown ? 0x8180 : 0x8183, 2);
  head.writeUInt16BE(1, 4);
  head.writeUInt16BE(isKnown && isFour ? 1 : 0, 6);
  head.writeUInt32BE(0, 8);
  if (!isKnown || !isFour) return Buffer.concat([head, question]);
  const address = addresses.upstream.split('.').map(Number);
  // The question's name, A, IN, for a second.
  return Buffer.concat([head, question, Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4, ...address])]);
}
