/** A token server by the distribution token specification that signs real JWTs, as docker-registry's `auth.token` wants them. */
import { createPrivateKey, randomUUID, sign, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TestAuthority } from './certificates.ts';
import { makeLeaf } from './certificates.ts';
import { noteSecret } from './secrets.ts';

export interface TokenServer {
  readonly realm: string;
  /** The `auth` section of a registry that trusts this server. */
  readonly registryAuth: object;
  /** The URLs it was asked, with the user who asked ('' for nobody). */
  readonly asked: { url: string; user: string }[];
  /** The tokens it gave out. */
  readonly issued: string[];
  close(): Promise<void>;
}

export interface TokenServerOptions {
  readonly authority: TestAuthority;
  readonly username: string;
  readonly password: string;
  /** Passwords are `<password>-<milliseconds since the epoch>` and good for so long from then on, as those of cloud registries are. */
  readonly passwordLifeMs?: number;
  /** Repositories that anybody may pull, by their first segment. */
  readonly publicPrefix: string;
  /** Another place than a free port of 127.0.0.1, and the name by which clients know it. */
  readonly at?: { readonly name: string; readonly address: string; readonly port: number };
}

const service = 'test-registry';
const issuer = 'test-token-server';
const lifeSeconds = 300;

/** Starts it over TLS. */
export async function startTokenServer(options: TokenServerOptions): Promise<TokenServer> {
  const { name, address, port } = options.at ?? { name: '127.0.0.1', address: '127.0.0.1', port: 0 };
  const { certificatePem, keyPem } = await makeLeaf(options.authority, [name], 'token-server');
  const asked: { url: string; user: string }[] = [];
  const issued: string[] = [];
  const server = createServer({ cert: certificatePem, key: keyPem }, (request, response) => {
    answer(request, response);
  });
  const answer = (request: IncomingMessage, response: ServerResponse) => {
    // containerd tries OAuth first.
    if (request.method === 'POST') return void response.writeHead(405).end();
    const url = new URL(request.url ?? '/', 'https://token');
    const [user = '', password] = basicOf(request);
    noteSecret(password);
    asked.push({ url: request.url ?? '', user });
    const isKnown = user === options.username && isGood(password, options);
    if (user !== '' && !isKnown) {
      response.writeHead(401).end('{}');
      return;
    }
    const access = grants(url.searchParams.getAll('scope'), isKnown ? '' : `${options.publicPrefix}/`);
    const token = signToken({ access, sub: user, certificatePem, keyPem });
    issued.push(token);
    noteSecret(token);
    response.setHeader('Content-Type', 'application/json');
    response.end(JSON.stringify({ token, expires_in: lifeSeconds }));
  };
  server.listen(port, address);
  await once(server, 'listening');
  const realm = `https://${name}:${(server.address() as AddressInfo).port}/auth`;
  return {
    realm,
    asked,
    issued,
    registryAuth: registryAuth(realm, options.authority),
    close: async () => {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}

/** The `auth` section of a registry that trusts the server at `realm`, whose certificate the authority signed. */
export function registryAuth(realm: string, authority: TestAuthority): object {
  return { token: { realm, service, issuer, rootcertbundle: authority.file } };
}

function isGood(given: string | undefined, { password, passwordLifeMs }: TokenServerOptions): boolean {
  if (passwordLifeMs === undefined) return given === password;
  const [begin = '', made = ''] = given?.split(/-(?=\d+$)/) ?? [];
  return begin === password && Date.now() - Number(made) < passwordLifeMs;
}

function basicOf(request: IncomingMessage): string[] {
  const value = /^Basic (.*)$/.exec(request.headers.authorization ?? '')?.[1] ?? '';
  return Buffer.from(value, 'base64').toString('utf8').split(':');
}

/** Pull only, and only below `prefix`. */
function grants(scopes: readonly string[], prefix: string): object[] {
  return scopes.flatMap((scope) => {
    const [type = '', name = '', actions = ''] = scope.split(':');
    const allowed = actions.split(',').includes('pull') && name.startsWith(prefix);
    return allowed ? [{ type, name, actions: ['pull'] }] : [];
  });
}

function signToken(options: {
  access: object[];
  sub: string;
  certificatePem: string;
  keyPem: string;
}): string {
  const now = Math.floor(Date.now() / 1000);
  const chain = new X509Certificate(options.certificatePem).raw.toString('base64');
  const header = { typ: 'JWT', alg: 'ES256', x5c: [chain] };
  const times = { iat: now - 10, nbf: now - 10, exp: now + lifeSeconds };
  const claims = {
    iss: issuer,
    sub: options.sub,
    aud: service,
    ...times,
    jti: randomUUID(),
    access: options.access,
  };
  const content = [header, claims]
    .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
    .join('.');
  const key = createPrivateKey(options.keyPem);
  const signature = sign('sha256', Buffer.from(content), { key, dsaEncoding: 'ieee-p1363' });
  return `${content}.${signature.toString('base64url')}`;
}
