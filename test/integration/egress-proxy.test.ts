/** A broker whose only way out is Debian's tinyproxy. */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { mirrorOf, sliceBytes, startBroker } from '../support/broker.ts';
import { makeAuthority, makeLeaf } from '../support/certificates.ts';
import { startScriptableUpstream } from '../support/scriptable-upstream.ts';
import { startTinyproxy } from '../support/tinyproxy.ts';

/** A registry with tokens that redirects blobs to a second origin, a proxy, and a broker that is told to use it. */
async function setUp(
  t: ExecutionContext,
  options: { scheme?: 'http' | 'https'; lines?: string[]; noProxy?: string[] } = {},
) {
  const { scheme = 'https' } = options;
  const dir = mkdtempSync(join(tmpdir(), 'egress-'));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  const authority = await makeAuthority(dir);
  const leaf = await makeLeaf(authority, ['127.0.0.1', '127.0.0.2']);
  const tls = { cert: leaf.certificatePem, key: leaf.keyPem };
  const upstream = await startScriptableUpstream({
    ...(scheme === 'https' && { tls }),
    cdnAddress: '127.0.0.2',
  });
  t.teardown(() => upstream.close());
  upstream.redirect = { blobs: true };
  upstream.auth = { kind: 'bearer' };
  if (scheme === 'https') {
    writeFileSync(join(dir, 'username'), 'mirror-user');
    writeFileSync(join(dir, 'password'), 'hunter2-secret');
    upstream.auth = { kind: 'bearer', username: 'mirror-user', password: 'hunter2-secret' };
  }
  const blob = randomBytes(3 * sliceBytes);
  const digest = upstream.addBlob(blob);
  upstream.addManifest('a/b', 'v1', { schemaVersion: 2, layers: [] });
  const proxy = await startTinyproxy(t, options.lines);
  // Forty handshakes at once take their time on a busy machine.
  const timeouts = { connect: 10_000, headers: 10_000, bodyIdle: 10_000 };
  const mirrors = [
    mirrorOf(`${scheme}://${upstream.host}`, {
      caFiles: [authority.file],
      credentials: [{ prefix: '', dir }],
      egressProxy: { url: proxy.url, noProxy: options.noProxy ?? [] },
    }),
  ];
  const broker = await startBroker(t, mirrors, { timeouts });
  const origins = (from: string) => [
    ...new Set(upstream.seen.filter((seen) => seen.from === from).map(({ origin }) => origin)),
  ];
  return {
    proxy,
    broker,
    blob,
    origins,
    getTag: () => broker.get('/m/v2/a/b/manifests/v1'),
    getBlob: () => broker.get(`/m/v2/a/b/blobs/${digest}`),
  };
}

for (const scheme of ['https', 'http'] as const) {
  test(`registry, token server and redirect targets are reached through the proxy alone (${scheme})`, async (t) => {
    const { getTag, getBlob, blob, origins, proxy } = await setUp(t, { scheme });
    t.is((await getTag()).status, 200);
    t.true((await getBlob()).body.equals(blob));
    t.deepEqual(origins(proxy.from).sort(), ['cdn', 'registry', 'token']);
    t.deepEqual(origins('127.0.0.1'), []);
  });
}

test('forty blobs at once come through the proxy whole', async (t) => {
  const { getBlob, blob } = await setUp(t);
  const got = await Promise.all(Array.from({ length: 40 }, getBlob));
  t.deepEqual([...new Set(got.map(({ status }) => status))], [200]);
  t.true(got.every(({ body }) => body.equals(blob)));
});

test('what is exempt is reached directly', async (t) => {
  const { getBlob, blob, origins, proxy } = await setUp(t, { noProxy: ['127.0.0.2/32'] });
  t.true((await getBlob()).body.equals(blob));
  t.deepEqual(origins(proxy.from).sort(), ['registry', 'token']);
  t.deepEqual(origins('127.0.0.1'), ['cdn']);
});

for (const [what, lines, status] of [
  ['does not lead to the registry’s port', ['ConnectPort 1'], 403],
  ['wants to know who we are', ['BasicAuth somebody something'], 407],
] as const) {
  test(`a proxy that ${what} makes a miss 502, and the status says it is the proxy`, async (t) => {
    const { getTag, broker, proxy, origins } = await setUp(t, { lines: [...lines] });
    t.is((await getTag()).status, 502);
    const { mirrors } = JSON.parse((await broker.get('/-/status')).body.toString());
    t.is(mirrors[0].upstream.reason, 'Proxy');
    t.true(mirrors[0].upstream.message.includes(proxy.host));
    t.true(mirrors[0].upstream.message.includes(String(status)));
    t.deepEqual(origins(proxy.from), []);
  });
}
