import type { LookupAddress } from 'node:dns';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { createTransport } from '../../../src/registry/transport.ts';
import { makeAuthority, makeLeaf } from '../../support/certificates.ts';
import { startScriptableUpstream } from '../../support/scriptable-upstream.ts';

/** An upstream on the loopback known as `registry.test`, and a resolver that knows the given names beside it. */
async function setUp(
  t: ExecutionContext,
  names: Record<string, string[]> = {},
  redirectHosts: string[] = [],
) {
  const upstream = await startScriptableUpstream();
  t.teardown(() => upstream.close());
  const [, port] = upstream.host.split(':');
  const asked: string[] = [];
  const resolve = async (hostname: string): Promise<LookupAddress[]> => {
    asked.push(hostname);
    const known = { 'registry.test': ['127.0.0.1'], ...names }[hostname];
    if (known === undefined) throw Object.assign(new Error('no such name'), { code: 'ENOTFOUND' });
    return known.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }));
  };
  const transport = createTransport(new URL(`http://registry.test:${port}`), {
    authorities: [],
    network: { resolve },
    redirectHosts,
  });
  t.teardown(() => transport.destroy());
  const send = async (host: string) => {
    const url = new URL(`http://${host}:${port}/v2/a/blobs/x`);
    const answer = await transport.send(url, {
      method: 'GET',
      headers: {},
      signal: new AbortController().signal,
    });
    await answer.body.dump();
    return answer.status;
  };
  return { upstream, send, asked };
}

test('the upstream’s own address is dialled whatever it is', async (t) => {
  const { send } = await setUp(t);
  t.is(await send('registry.test'), 404);
});

test('another name on the loopback is refused until the upstream itself is seen there', async (t) => {
  const { send, upstream } = await setUp(t, { 'evil.test': ['127.0.0.1'] });
  await t.throwsAsync(send('evil.test'), { message: /refused to follow to a loopback address/ });
  await t.throwsAsync(send('127.0.0.1'), { message: /refused to follow to a loopback address/ });
  t.is(upstream.seen.length, 0);
  await send('registry.test');
  t.is(await send('evil.test'), 404);
});

test('a redirect host that the administrator named is dialled wherever it is', async (t) => {
  const { send } = await setUp(t, { 'a.cdn.test': ['127.0.0.1'], 'evil.test': ['127.0.0.1'] }, [
    '*.cdn.test',
  ]);
  t.is(await send('a.cdn.test'), 404);
  await t.throwsAsync(send('evil.test'), { message: /refused to follow to a loopback address/ });
});

for (const [address, kind] of [
  ['10.0.0.1', 'private'],
  ['169.254.169.254', 'metadata'],
  ['fe80::1', 'linkLocal'],
  ['0.0.0.0', 'unspecified'],
  ['::ffff:10.0.0.1', 'private'],
] as const) {
  test(`a name that resolves to ${address} is refused for an upstream on the loopback, and so is the address itself`, async (t) => {
    const { send } = await setUp(t, { 'evil.test': [address] });
    await send('registry.test');
    const expected = { message: new RegExp(`refused to follow to a ${kind} address`) };
    await t.throwsAsync(send('evil.test'), expected);
    await t.throwsAsync(send(address.includes(':') ? `[${address}]` : address), expected);
  });
}

test('spellings of the loopback that are no dotted quad are still the loopback', async (t) => {
  const { send } = await setUp(t);
  for (const host of ['2130706433', '0x7f.1', '0177.0.0.1', '127.1', '[::1]', '[::ffff:7f00:1]']) {
    await t.throwsAsync(send(host), { message: /refused to follow to a loopback address/ });
  }
});

test('of a name with a good and a bad address only the good one is dialled', async (t) => {
  const { send } = await setUp(t, { 'cdn.test': ['10.0.0.1', '127.0.0.1'] });
  await send('registry.test');
  t.is(await send('cdn.test'), 404);
});

test('a name is resolved once for a connection: what was checked is what is dialled', async (t) => {
  const { send, asked } = await setUp(t, { 'cdn.test': ['127.0.0.1'] });
  await send('registry.test');
  await send('cdn.test');
  t.deepEqual(asked, ['registry.test', 'cdn.test']);
});

test('a name nobody knows is a failure of DNS', async (t) => {
  const { send } = await setUp(t);
  await t.throwsAsync(send('nowhere.test'), { code: 'dns' });
});

async function tlsSetUp(t: ExecutionContext, certificateNames: string[]) {
  const dir = mkdtempSync(join(tmpdir(), 'transport-'));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  const authority = await makeAuthority(dir);
  const leaf = await makeLeaf(authority, certificateNames);
  const upstream = await startScriptableUpstream({ tls: { cert: leaf.certificatePem, key: leaf.keyPem } });
  t.teardown(() => upstream.close());
  const origin = new URL(`https://${upstream.host}`);
  const send = async (trusted: readonly string[]) => {
    const transport = createTransport(origin, { authorities: trusted });
    t.teardown(() => transport.destroy());
    const { signal } = new AbortController();
    const answer = await transport.send(new URL('/v2/', origin), { method: 'GET', headers: {}, signal });
    await answer.body.dump();
    return answer.status;
  };
  return { send, authority };
}

test('an upstream is verified against the given authorities and by its name', async (t) => {
  const good = await tlsSetUp(t, ['127.0.0.1']);
  t.is(await good.send([good.authority.certificatePem]), 404);
  await t.throwsAsync(good.send([]), { code: 'tls' });
  const other = await tlsSetUp(t, ['other.test']);
  await t.throwsAsync(other.send([other.authority.certificatePem]), { code: 'tls' });
});
