/** A broker that is one of two replicas; the other one is a scripted server behind mutual TLS, which owns everything asked for here. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { digestOf } from '../../../../../src/registry/digest.ts';
import { mirrorOf, sliceBytes, startBroker, type TestBroker } from '../../../../support/broker.ts';
import { makeAuthority } from '../../../../support/certificates.ts';
import { eventually } from '../../../../support/eventually.ts';
import { randomBytes } from '../../../../support/images.ts';
import { makePeerLeaf, makePeers, ownedBy } from '../../../../support/peers.ts';
import { type ScriptableUpstream, startScriptableUpstream } from '../../../../support/scriptable-upstream.ts';

const names = [{ name: 'm-0' }, { name: 'm-1' }];

test('a miss is asked of its owner, by the masquerade name, and not of the upstream', async (t) => {
  const { broker, upstream, owner, blob } = await setUp(t);
  const answer = await slice(broker, blob.digest);
  t.is(answer.status, 206);
  t.true(answer.body.equals(blob.bytes));
  t.deepEqual(
    owner.seen.map(({ url, headers }) => [url, headers.range]),
    [[`/v2/${masquerade(upstream)}/a/b/blobs/${blob.digest}`, `bytes=0-${sliceBytes - 1}`]],
  );
  t.is(upstream.counters.requests, 0);
  const [mirror] = await report(broker);
  t.deepEqual(mirror.peers, { requests: 1, bytes: blob.bytes.length, failures: 0 });
  t.is(mirror.counters.bytes, 0);
  t.is(mirror.upstream.reason, 'Unknown');
});

test('what another replica asks is never asked of a replica', async (t) => {
  const { broker, upstream, owner, blob } = await setUp(t);
  const answer = await slice(broker, blob.digest, { 'x-address-kind': 'peer' });
  t.true(answer.body.equals(blob.bytes));
  t.is(owner.seen.length, 0);
  t.is(upstream.counters.requests, 1);
});

test('what another replica asks never waits for what is being asked of a replica, whatever the repository is called', async (t) => {
  const { upstream, owner, ...world } = await setUp(t, { dockerHub: true });
  const manifest = ownedBy('m-1', names, (seed) => {
    const content = { schemaVersion: 2, layers: [], annotations: { seed } };
    const digest = upstream.addManifest('library/app', undefined, content);
    return { digest, object: `app ${digest}` };
  });
  owner.faults = { delayMs: 60_000 };
  const waiting = world.broker.get(`/m/v2/app/manifests/${manifest.digest}`);
  await eventually(() => assert.equal(owner.seen.length, 1));
  const path = `/m/v2/library/app/manifests/${manifest.digest}`;
  const answer = await world.broker.get(path, { 'x-address-kind': 'peer' });
  t.is(answer.status, 200);
  // The first one goes on when its owner is gone.
  await owner.close();
  t.is((await waiting).status, 200);
});

test('a replica that is not in the list asks nobody', async (t) => {
  const { broker, owner, blob } = await setUp(t, { replica: 'm-7' });
  t.true((await slice(broker, blob.digest)).body.equals(blob.bytes));
  t.is(owner.seen.length, 0);
  t.true(broker.log.some((line) => line.includes('Replica is not in the list')));
});

for (const status of [500, 502, 503, 504, 400, 403, 404, 429]) {
  test(`a status of ${status} that is the owner's own is made up for by the upstream`, async (t) => {
    const { broker, upstream, owner, blob } = await setUp(t);
    owner.faults = { status };
    t.true((await slice(broker, blob.digest)).body.equals(blob.bytes));
    t.is(upstream.counters.requests, 1);
  });
}

test('an owner that dies inside a body: the upstream goes on at the very byte', async (t) => {
  const { broker, upstream, owner, blob } = await setUp(t);
  owner.faults = { breakAfter: 100_000 };
  const answer = await slice(broker, blob.digest);
  t.is(answer.status, 206);
  t.true(answer.body.equals(blob.bytes));
  const { range = '' } = upstream.seen[0]?.headers ?? {};
  const from = Number(/^bytes=(\d+)-/.exec(range)?.[1]);
  t.true(from > 0 && from <= 100_000, range);
  t.is(upstream.counters.bytes, blob.bytes.length - from);
});

test('wrong bytes of the owner never make a whole blob, and the owner is not asked for it again', async (t) => {
  const { broker, owner, blob } = await setUp(t);
  owner.faults = { corrupt: true };
  await t.throwsAsync(slice(broker, blob.digest).then(({ status }) => assert.ok(status < 500)));
  const asked = owner.seen.length;
  const answer = await eventually(async () => {
    const again = await slice(broker, blob.digest);
    assert.equal(again.status, 206);
    return again;
  });
  t.true(answer.body.equals(blob.bytes));
  t.is(owner.seen.length, asked);
});

for (const [what, faults] of Object.entries({
  'another range': { shiftRange: 1 },
  'packed bytes': { contentEncoding: 'gzip' },
  'a web page': { portal: true },
})) {
  test(`${what} of the owner is refused and made up for by the upstream`, async (t) => {
    const { broker, owner, blob } = await setUp(t);
    owner.faults = faults;
    t.true((await slice(broker, blob.digest)).body.equals(blob.bytes));
    t.is(owner.seen.length, 1);
  });
}

test('a manifest of the owner is checked: wrong bytes are made up for by the upstream', async (t) => {
  const { broker, upstream, owner, manifest } = await setUp(t);
  const path = `/m/v2/a/b/manifests/${manifest.digest}`;
  owner.faults = { corrupt: true };
  const answer = await broker.get(path);
  t.is(answer.status, 200);
  t.is(digestOf(answer.body), manifest.digest);
  t.deepEqual([owner.seen.length, upstream.counters.requests], [1, 1]);
});

test('an owner that is not there costs nothing but the first try for five seconds', async (t) => {
  const { broker, upstream, owner, blob } = await setUp(t);
  const refusing = owner.host;
  await owner.close();
  for (const from of [0, 1, 2]) {
    const bytes = await broker.get(`/m/v2/a/b/blobs/${blob.digest}`, { range: `bytes=${from}-${from + 9}` });
    t.true(bytes.body.equals(blob.bytes.subarray(from, from + 10)), refusing);
  }
  t.is(upstream.counters.requests, 3);
  t.is((await report(broker))[0].peers.requests, 1);
});

test('an owner that lets connections in and says nothing is given up after a second', async (t) => {
  const silent = createServer(() => {}).listen(0, '127.0.0.1');
  await new Promise((resolve) => silent.once('listening', resolve));
  const { port } = silent.address() as AddressInfo;
  t.teardown(() => silent.close());
  const { broker, blob } = await setUp(t, { port });
  const start = performance.now();
  t.true((await slice(broker, blob.digest)).body.equals(blob.bytes));
  const ms = performance.now() - start;
  t.true(ms >= 900 && ms < 5_000, String(ms));
});

test('an owner that is there is waited for, however long its upstream takes', async (t) => {
  const { broker, upstream, owner, blob } = await setUp(t);
  // Longer than our own limits towards upstreams (2 s in this test).
  owner.faults = { delayMs: 4_000 };
  t.true((await slice(broker, blob.digest)).body.equals(blob.bytes));
  t.is(upstream.counters.requests, 0);
});

test('one whose certificate is by another authority is not asked', async (t) => {
  const stranger = await makeAuthority(temporary(t), 'stranger');
  const { broker, owner, upstream, blob } = await setUp(t, { leaf: () => makePeerLeaf(stranger) });
  t.true((await slice(broker, blob.digest)).body.equals(blob.bytes));
  t.deepEqual([owner.seen.length, upstream.counters.requests], [0, 1]);
});

for (const other of [{ commonName: 'registry-mirror-other-peers' }, { serverName: 'other.example' }]) {
  test(`one whose certificate says ${JSON.stringify(other)} is not asked`, async (t) => {
    const { broker, owner, upstream, blob } = await setUp(t, {
      leaf: (authority) => makePeerLeaf(authority, { label: 'other', ...other }),
    });
    t.true((await slice(broker, blob.digest)).body.equals(blob.bytes));
    t.deepEqual([owner.seen.length, upstream.counters.requests], [0, 1]);
  });
}

test('a new authority of the replicas is taken on without a restart', async (t) => {
  const dir = temporary(t);
  const next = await makeAuthority(join(dir, 'next'), 'next');
  const { broker, owner, blob, peers } = await setUp(t, { leaf: () => makePeerLeaf(next) });
  await slice(broker, blob.digest);
  t.is(owner.seen.length, 0);
  writeFileSync(peers.caFile, readFileSync(next.file));
  await eventually(
    async () => {
      await slice(broker, blob.digest);
      assert.equal(owner.seen.length > 0, true);
    },
    { timeout: 15_000 },
  );
  t.pass();
});

test("a client's own Authorization goes along to the owner in passThrough, and nothing else does ever", async (t) => {
  for (const access of ['passThrough', 'shared'] as const) {
    const { broker, owner, blob } = await setUp(t, { access });
    await slice(broker, blob.digest, { authorization: 'Basic bm9uZTpub25l', cookie: 'a=b' });
    t.is(owner.seen[0]?.headers.authorization, access === 'passThrough' ? 'Basic bm9uZTpub25l' : undefined);
    t.is(owner.seen[0]?.headers.cookie, undefined);
    t.false(broker.log.join().includes('bm9uZTpub25l'));
  }
});

interface SetUp {
  readonly replica?: string;
  readonly port?: number;
  readonly dockerHub?: boolean;
  readonly access?: 'passThrough' | 'shared';
  readonly leaf?: (authority: Awaited<ReturnType<typeof makeAuthority>>) => ReturnType<typeof makePeerLeaf>;
}

/** Replica m-0 of two, an upstream, and m-1, which owns the blob and the manifest; both have them. */
async function setUp(t: ExecutionContext, options: SetUp = {}) {
  const peers = await makePeers(temporary(t), []);
  const { certificatePem, keyPem } = await (options.leaf ?? makePeerLeaf)(peers.authority);
  const tls = { cert: certificatePem, key: keyPem, ca: readFileSync(peers.caFile, 'utf8') };
  const upstream = await startScriptableUpstream();
  const owner = await startScriptableUpstream({
    tls: { ...tls, requestCert: true, rejectUnauthorized: true },
  });
  t.teardown(() => Promise.all([upstream.close(), owner.close()]));
  const port = options.port ?? Number(owner.host.split(':')[1]);
  const replicas = names.map(({ name }) => ({ name, host: '127.0.0.1', port }));
  const { authority: _own, ...config } = { ...peers, replicas };
  const { access, replica = 'm-0' } = options;
  const plain = mirrorOf(`http://${upstream.host}`, { ...(access && { access }) });
  const mirror = { ...plain, upstream: { ...plain.upstream, dockerHub: options.dockerHub ?? false } };
  const broker = await startBroker(t, [mirror], {}, { peers: config, replica });
  return { broker, upstream, owner, peers, ...objects(upstream, owner) };
}

/** A blob and a manifest that m-1 owns, at the upstream and at m-1. */
function objects(upstream: ScriptableUpstream, owner: ScriptableUpstream) {
  const blob = ownedBy('m-1', names, (seed) => {
    const bytes = randomBytes(seed, 300_000);
    const digest = digestOf(bytes);
    return { bytes, digest, object: digest };
  });
  const manifest = ownedBy('m-1', names, (seed) => {
    const content = { schemaVersion: 2, layers: [], annotations: { seed } };
    const digest = digestOf(Buffer.from(JSON.stringify(content)));
    return { content, digest, object: `a/b ${digest}` };
  });
  for (const registry of [upstream, owner]) registry.addBlob(blob.bytes);
  upstream.addManifest('a/b', undefined, manifest.content);
  owner.addManifest(`${masquerade(upstream)}/a/b`, undefined, manifest.content);
  return { blob, manifest };
}

function masquerade(upstream: ScriptableUpstream): string {
  return `mirror-${upstream.host}`;
}

function slice(broker: TestBroker, digest: string, headers: Record<string, string> = {}) {
  return broker.get(`/m/v2/a/b/blobs/${digest}`, { range: `bytes=0-${sliceBytes - 1}`, ...headers });
}

async function report(broker: TestBroker) {
  return JSON.parse((await broker.get('/-/status')).body.toString()).mirrors;
}

function temporary(t: ExecutionContext): string {
  const dir = mkdtempSync(join(tmpdir(), 'peers-'));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}
