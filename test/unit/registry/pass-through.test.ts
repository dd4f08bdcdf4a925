import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { BlobReader } from '../../../src/registry/blob.ts';
import { type Digest, parseDigest } from '../../../src/registry/digest.ts';
import { fetchManifest, headManifest } from '../../../src/registry/manifest.ts';
import { createTransport } from '../../../src/registry/transport.ts';
import { UpstreamClient } from '../../../src/registry/upstream-client.ts';
import { zeroCounters } from '../../../src/registry/upstream-counters.ts';
import { makeAuthority, makeLeaf } from '../../support/certificates.ts';
import { startScriptableUpstream } from '../../support/scriptable-upstream.ts';

const own = { username: 'mirror-user', password: 'hunter2-secret' };
const client = basic('client', 'client-secret');
const { signal } = new AbortController();

/** A registry that lets in whom it is told to, and a mirror's client of it that has credentials of its own. */
async function setUp(t: ExecutionContext, scheme: 'http' | 'https' = 'https') {
  const dir = mkdtempSync(join(tmpdir(), 'pass-through-'));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  const authority = await makeAuthority(dir);
  const leaf = await makeLeaf(authority, ['127.0.0.1', '127.0.0.2']);
  const tls = scheme === 'https' ? { tls: { cert: leaf.certificatePem, key: leaf.keyPem } } : {};
  const upstream = await startScriptableUpstream({ ...tls, cdnAddress: '127.0.0.2' });
  t.teardown(() => upstream.close());
  upstream.addManifest('a/b', 'v1', { schemaVersion: 2, layers: [] });
  const blob = Buffer.from('a layer');
  const digest = parseDigest(upstream.addBlob(blob)) as Digest;
  const origin = new URL(`${scheme}://${upstream.host}`);
  const transport = createTransport(origin, { authorities: [authority.certificatePem] });
  t.teardown(() => transport.destroy());
  const counters = zeroCounters();
  const upstreamClient = new UpstreamClient({
    origin,
    transport: () => transport,
    credentials: () => ({ current: () => ({ kind: 'basic', ...own }), reread: async () => {} }),
    counters,
  });
  const asked = { repository: 'a/b', reference: 'v1', accept: '*/*', signal };
  const blobs = new BlobReader(upstreamClient);
  const getBlob = async (authorization?: string) => {
    const { body } = await blobs.open({ repository: 'a/b', digest, range: undefined, authorization, signal });
    const pieces: Buffer[] = [];
    for await (const piece of body) pieces.push(piece);
    return Buffer.concat(pieces);
  };
  return {
    upstream,
    blob,
    getBlob,
    getTag: (authorization?: string) => fetchManifest(upstreamClient, { ...asked, authorization }),
    headTag: (authorization?: string) => headManifest(upstreamClient, { ...asked, authorization }),
    sent: (place: string) =>
      upstream.seen.filter(({ origin }) => origin === place).map(({ headers }) => headers.authorization),
  };
}

function basic(username: string, password: string): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
}

test('a client’s own Authorization is the only one the upstream is shown', async (t) => {
  const { upstream, getTag, headTag, getBlob, sent, blob } = await setUp(t);
  upstream.auth = { kind: 'basic', username: 'client', password: 'client-secret' };
  t.is((await getTag(client)).mediaType, 'application/vnd.oci.image.manifest.v1+json');
  t.not(await headTag(client), undefined);
  t.deepEqual(await getBlob(client), blob);
  t.deepEqual(sent('registry'), [client, client, client]);
});

for (const kind of ['basic', 'bearer'] as const) {
  test(`what ${kind} refuses is a 401 with the upstream’s challenge, and neither our credentials nor a token are used`, async (t) => {
    const { upstream, getTag, sent } = await setUp(t);
    upstream.auth = { kind, ...own };
    for (const authorization of [client, '']) {
      const error = await t.throwsAsync(getTag(authorization));
      t.like(error, { status: 401, credentialsRefused: false });
      t.regex(
        (error as unknown as { challenge: string }).challenge,
        kind === 'basic' ? /^Basic / : /^Bearer /,
      );
    }
    t.deepEqual(sent('registry'), [client, undefined]);
    t.deepEqual(sent('token'), []);
  });
}

test('our own 401 has no challenge for anybody', async (t) => {
  const { upstream, getTag } = await setUp(t);
  upstream.auth = { kind: 'basic', username: 'another', password: 'one' };
  t.like(await t.throwsAsync(getTag()), { status: 401, credentialsRefused: true, challenge: undefined });
});

test('what a client was let in with is remembered for nobody', async (t) => {
  const { upstream, getTag, sent } = await setUp(t);
  upstream.auth = { kind: 'basic', username: 'client', password: 'client-secret' };
  await getTag(client);
  await t.throwsAsync(getTag(''), { message: /401/ });
  await t.throwsAsync(getTag(), { message: /401/ });
  t.deepEqual(sent('registry').slice(0, 3), [client, undefined, undefined]);
});

test('a client’s Authorization follows no redirect to another origin', async (t) => {
  const { upstream, getTag, getBlob, sent, blob } = await setUp(t);
  upstream.auth = { kind: 'basic', username: 'client', password: 'client-secret' };
  upstream.redirect = { blobs: true, manifests: true };
  await getTag(client);
  t.deepEqual(await getBlob(client), blob);
  t.deepEqual(sent('cdn'), [undefined, undefined]);
});

test('another registry’s challenge after a redirect is answered anonymously and never told to the client', async (t) => {
  const { upstream, getTag, sent } = await setUp(t);
  upstream.redirect = { manifests: true };
  upstream.cdnAuth = { kind: 'bearer' };
  await getTag(client);
  t.deepEqual(sent('token'), [undefined]);
  upstream.cdnAuth = { kind: 'basic', ...own };
  t.like(await t.throwsAsync(getTag(client)), { status: 401, challenge: undefined });
  t.true(sent('cdn').every((header) => header === undefined || header.startsWith('Bearer ')));
});

test('where one client’s blob lies is no other client’s to know', async (t) => {
  const { upstream, getBlob } = await setUp(t);
  upstream.redirect = { blobs: true };
  upstream.auth = { kind: 'basic', username: 'client', password: 'client-secret' };
  await getBlob(client);
  await getBlob(client);
  t.is(upstream.counters.redirects, 1);
  await t.throwsAsync(getBlob(basic('other', 'x')), { message: /401/ });
  await t.throwsAsync(getBlob(''), { message: /401/ });
  await t.throwsAsync(getBlob(), { message: /401/ });
  t.is(upstream.counters.redirects, 1);
});

test('over plain http a client’s Authorization is not sent', async (t) => {
  const { getTag, sent } = await setUp(t, 'http');
  await getTag(client);
  t.deepEqual(sent('registry'), [undefined]);
});
