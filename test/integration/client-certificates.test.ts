/** Who may reach a cache that demands certificates: nodes by its addresses for clients, replicas by theirs. Real nginx. */
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import test, { type ExecutionContext } from 'ava';
import { type CacheConfig, localSocket } from '../../src/cache/cache-config.ts';
import { issueLeaf, type KeyPair } from '../../src/cache/tls/authority.ts';
import { freePort } from '../kubernetes/free-ports.ts';
import { makeAuthority, makeLeaf, type TestAuthority } from '../support/certificates.ts';
import { type Asked, mirrorOf, startCache } from '../support/nginx.ts';
import { makePeerLeaf, makePeers, peerName } from '../support/peers.ts';
import { startScriptableUpstream } from '../support/scriptable-upstream.ts';

const tagged = '/v2/library/app/manifests/1';

test('without a certificate of the authority there is a health check and nothing else', async (t) => {
  const { cache, get, fallback, strangers } = await start(t);
  for (const [at, refused] of [
    [cache.port, 403],
    [fallback, 404],
  ] as const) {
    for (const [who, certificate] of Object.entries(strangers)) {
      const shown = certificate && { certificate };
      const paths = [
        tagged,
        '/v2/',
        '/v2',
        '/',
        '/-/error',
        '/v2/_catalog',
        '/health-check/',
        '//health-check/../v2/',
      ];
      for (const path of paths) {
        const { status, body, headers } = await get(path, { at, ...shown });
        t.is(status, refused, `${who} ${path}`);
        t.is(JSON.parse(body.toString()).errors.length, 1, `${who} ${path}`);
        t.is(headers['x-cache-status'], undefined);
      }
      for (const method of ['HEAD', 'OPTIONS', 'POST']) {
        t.is((await get(tagged, { at, method, ...shown })).status, refused, `${who} ${method}`);
      }
    }
    t.is((await get('/health-check', { at })).status, 200);
  }
});

test('with one there is everything', async (t) => {
  const { cache, get, fallback, node } = await start(t);
  for (const at of [cache.port, fallback]) {
    t.is((await get(tagged, { at, certificate: node })).status, 200);
    t.is((await get('/v2/', { at, certificate: node })).status, 200);
  }
  t.is((await get(tagged, { at: localSocket(cache.config.paths) })).status, 200);
});

for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
  test(`a session of a client with a certificate lets in nobody without, by ${version}`, async (t) => {
    const { cache, ca, fallback, node } = await start(t);
    const connection = (more: ConnectionOptions) =>
      statusOf({ ca, minVersion: version, maxVersion: version, ...more });
    const shown = { cert: node.certificatePem, key: node.keyPem };
    for (const port of [cache.port, fallback]) {
      const first = await connection({ port, ...shown });
      t.is(first.status, 200);
      const refused = port === fallback ? 404 : 403;
      for (const session of first.sessions) t.is((await connection({ port, session })).status, refused);
      for (const session of first.sessions) {
        t.is(
          (await connection({ port: port === fallback ? cache.port : fallback, session })).status,
          port === fallback ? 403 : 404,
        );
      }
      t.false(first.reused || (await connection({ port, ...shown, session: first.sessions[0] })).reused);
    }
  });
}

test('names lead around nothing: a client is let in and served the same by whatever it says in TLS and in Host', async (t) => {
  const { cache, get, fallback, node } = await start(t);
  for (const at of [cache.port, fallback]) {
    for (const servername of ['first.test', 'second.test', 'unknown.test']) {
      for (const Host of ['first.test', 'second.test', '127.0.0.1:5000', 'docker.io', '']) {
        const asked = { at, servername, headers: { Host } };
        const said = `${servername} ${Host}`;
        t.is((await get(tagged, asked)).status, at === fallback ? 404 : 403, said);
        t.is((await get(tagged, { ...asked, certificate: node })).status, 200, said);
      }
    }
  }
});

test('each name is served with its own certificate where clients show theirs', async (t) => {
  const { cache, fallback } = await start(t);
  for (const port of [cache.port, fallback]) {
    const nameOf = (servername: string) => servedName({ port, servername, rejectUnauthorized: false });
    t.is(await nameOf('second.test'), 'DNS:second.test');
    t.is(await nameOf('SECOND.test'), 'DNS:second.test');
    t.is(await nameOf('first.test'), 'IP Address:127.0.0.1, DNS:first.test');
    t.is(await nameOf('unknown.test'), 'IP Address:127.0.0.1, DNS:first.test');
  }
});

test('the address of replicas is for certificates of their authority and their name, and tells them more', async (t) => {
  const { cache, get, replicas, peerPort, node, strangers } = await start(t);
  // Replicas ask by prefix.
  const path = tagged.replace('/v2', '/v2/mirror.test');
  const ask = (certificate?: KeyPair) => get(path, { at: peerPort, ...(certificate && { certificate }) });
  const replica = await makePeerLeaf(replicas);
  const answer = await ask(replica);
  t.is(answer.status, 200);
  t.regex(String(answer.headers['x-valid-until']), /^[0-9]{13}$/);
  const own = { days: 1, usages: ['clientAuth'] } as const;
  const others = [
    await issueLeaf(replicas, { ...own, names: [], commonName: `${peerName}-not` }),
    await issueLeaf(replicas, { ...own, names: [peerName], commonName: `not-${peerName}` }),
    await issueLeaf(cache.authority, { ...own, names: [], commonName: peerName }),
    node,
    ...Object.values(strangers),
  ];
  for (const other of others) {
    const { status, body } = await ask(other);
    t.is(status, 403);
    t.is(JSON.parse(body.toString()).errors[0].code, 'DENIED');
  }
  // A replica is no client.
  t.is((await get(tagged, { certificate: replica })).status, 403);
});

/** A cache with two certificates and one replica that lets nodes in, and who is none. */
async function start(t: ExecutionContext) {
  const upstream = await startScriptableUpstream();
  t.teardown(() => upstream.close());
  upstream.addManifest('library/app', '1', { schemaVersion: 2 });
  const dir = mkdtempSync(join(tmpdir(), 'clients-'));
  t.teardown(() => rmSync(dir, { recursive: true }));
  const clients = await makeAuthority(join(dir, 'clients'), 'clients');
  const other = await makeAuthority(join(dir, 'others'), 'clients');
  const [fallback, peerPort] = [await freePort(), await freePort()];
  const { authority: replicas, ...peers } = await makePeers(dir, [
    { name: 'registry-mirror-m-0', host: '127.0.0.1', port: peerPort },
  ]);
  const names = ['127.0.0.1', 'first.test'];
  const certificates = [
    { ...(await makeLeaf(clients, names, 'first')), names: ['first.test'] },
    { ...(await makeLeaf(clients, ['second.test'], 'second')), names: ['second.test'] },
  ];
  const changes: Partial<CacheConfig> = {
    fallbackListen: [{ address: '127.0.0.1', port: fallback }],
    peers: { ...peers, listen: [{ address: '127.0.0.1', port: peerPort }] },
    clientCaFile: clients.file,
    certificates,
  };
  const cache = await startCache(t, [mirrorOf(upstream)], changes, { replica: 'registry-mirror-m-0' });
  const ca = clients.certificatePem + replicas.certificatePem;
  const get = (path: string, asked: Asked = {}) => cache.get(path, { ca, ...asked });
  const node = await clientOf(clients);
  return { cache, ca, get, fallback, peerPort, replicas, node, strangers: await strangersTo(clients, other) };
}

function clientOf(authority: TestAuthority): Promise<KeyPair> {
  return issueLeaf(authority, { names: [], days: 1, commonName: 'node', usages: ['clientAuth'] });
}

async function strangersTo(
  authority: TestAuthority,
  other: TestAuthority,
): Promise<Record<string, KeyPair | undefined>> {
  const longAgo = new Date(Date.now() - 30 * 86_400_000);
  return {
    nobody: undefined,
    'of another authority of the same name': await clientOf(other),
    'a server': await issueLeaf(authority, { names: ['a.test'], days: 1 }),
    'too late': await issueLeaf(authority, {
      names: [],
      days: 1,
      now: longAgo,
      commonName: 'node',
      usages: ['clientAuth'],
    }),
  };
}

/** The status of one GET on a connection of its own, and what could be used to resume it. */
async function statusOf(options: ConnectionOptions) {
  const socket = connect({ host: '127.0.0.1', checkServerIdentity: () => undefined, ...options });
  const sessions: Buffer[] = [];
  socket.on('session', (session: Buffer) => sessions.push(session));
  await once(socket, 'secureConnect');
  socket.write(`GET ${tagged} HTTP/1.1\r\nHost: any.test\r\nConnection: close\r\n\r\n`);
  const text = await received(socket);
  return {
    status: Number(/^HTTP[/]1[.]1 (\d+)/.exec(text)?.[1]),
    sessions,
    reused: socket.isSessionReused(),
  };
}

async function servedName(options: ConnectionOptions): Promise<string | undefined> {
  const socket = connect({ host: '127.0.0.1', ...options });
  await once(socket, 'secureConnect');
  const { subjectaltname } = socket.getPeerCertificate();
  socket.destroy();
  return subjectaltname;
}

async function received(socket: TLSSocket): Promise<string> {
  let text = '';
  socket.on('data', (piece: Buffer) => {
    text += piece.toString('latin1');
  });
  await once(socket, 'end');
  return text;
}
