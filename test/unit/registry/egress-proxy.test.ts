import type { LookupAddress } from 'node:dns';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { createTransport } from '../../../src/registry/transport.ts';
import { freePort } from '../../kubernetes/free-ports.ts';
import { makeAuthority, makeLeaf } from '../../support/certificates.ts';
import { startScriptableProxy } from '../../support/scriptable-proxy.ts';
import { startScriptableUpstream } from '../../support/scriptable-upstream.ts';

interface Setting {
  scheme?: 'http' | 'https';
  /** The upstream's name; only the proxy need know where it is. */
  name?: string;
  certificateNames?: string[];
  secureProxy?: boolean;
  noProxy?: string[];
  redirectHosts?: string[];
  /** What names resolve to here; others do not. */
  known?: Record<string, string[]>;
  proxyUrl?: string;
  /** Time for a connection, in milliseconds. */
  connect?: number;
}

/** An upstream, a proxy before it, and a way to ask the upstream's second origin under any name. */
async function setUp(t: ExecutionContext, setting: Setting = {}) {
  const { scheme = 'https', name = 'registry.test' } = setting;
  const dir = mkdtempSync(join(tmpdir(), 'egress-proxy-'));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  const authority = await makeAuthority(dir);
  const leaf = await makeLeaf(authority, setting.certificateNames ?? [name, '127.0.0.1', 'cdn.test']);
  const tls = { cert: leaf.certificatePem, key: leaf.keyPem };
  const upstream = await startScriptableUpstream(scheme === 'https' ? { tls } : {});
  t.teardown(() => upstream.close());
  const proxy = await startScriptableProxy(setting.secureProxy ? tls : undefined);
  t.teardown(() => proxy.close());
  proxy.resolve = { 'registry.test': '127.0.0.1', 'cdn.test': '127.0.0.1' };
  const resolve = async (hostname: string): Promise<LookupAddress[]> => {
    const addresses = setting.known?.[hostname];
    if (addresses === undefined) throw Object.assign(new Error('no such name'), { code: 'ENOTFOUND' });
    return addresses.map((address) => ({ address, family: 4 }));
  };
  const [, port] = upstream.host.split(':');
  const transport = createTransport(new URL(`${scheme}://${name}:${port}`), {
    authorities: [authority.certificatePem],
    proxy: { url: setting.proxyUrl ?? proxy.url, noProxy: setting.noProxy ?? [] },
    redirectHosts: setting.redirectHosts ?? [],
    network: { resolve, timeouts: { connect: setting.connect ?? 10_000, headers: 10_000, bodyIdle: 10_000 } },
  });
  t.teardown(() => transport.destroy());
  const send = async (url: string) => {
    const { signal } = new AbortController();
    const answer = await transport.send(new URL(url), { method: 'GET', headers: {}, signal });
    await answer.body.dump();
    return answer.status;
  };
  return {
    upstream,
    proxy,
    port,
    send: () => send(`${scheme}://${name}:${port}/v2/a/tags/list?n=1`),
    sendTo: (host: string) => send(`${scheme}://${host}/v2/a/tags/list`),
  };
}

test('an https upstream is asked through a tunnel by its name, and its certificate is verified', async (t) => {
  const { proxy, port, send, upstream } = await setUp(t);
  t.is(await send(), 404);
  t.deepEqual(proxy.asked, [`CONNECT registry.test:${port}`]);
  t.is(upstream.seen[0]?.headers.host, `registry.test:${port}`);
  const other = await setUp(t, { certificateNames: ['other.test'] });
  await t.throwsAsync(other.send(), { code: 'tls' });
});

test('a tunnel is used again for the next request', async (t) => {
  const { proxy, send } = await setUp(t);
  for (let count = 0; count < 10; count++) await send();
  t.true(proxy.asked.length <= 2, `${proxy.asked.length} tunnels`);
});

test('many requests at once each get their answer', async (t) => {
  const { send } = await setUp(t);
  t.deepEqual(
    await Promise.all(Array.from({ length: 30 }, send)),
    Array.from({ length: 30 }, () => 404),
  );
});

test('an http upstream is asked in absolute form under its own name', async (t) => {
  const { proxy, port, send, upstream } = await setUp(t, { scheme: 'http' });
  t.is(await send(), 404);
  t.deepEqual(proxy.asked, [`GET http://registry.test:${port}/v2/a/tags/list?n=1`]);
  t.is(upstream.seen[0]?.headers.host, `registry.test:${port}`);
});

for (const scheme of ['https', 'http'] as const) {
  test(`a proxy that speaks TLS leads to ${scheme}`, async (t) => {
    const { proxy, send } = await setUp(t, { scheme, secureProxy: true });
    t.is(await send(), 404);
    t.is(proxy.asked.length, 1);
  });
}

test('what is exempt is asked directly', async (t) => {
  const { proxy, send } = await setUp(t, { noProxy: ['.test'], known: { 'registry.test': ['127.0.0.1'] } });
  t.is(await send(), 404);
  t.deepEqual(proxy.asked, []);
});

for (const status of [407, 403, 502]) {
  test(`a proxy that answers ${status} is the failure, and its host is named`, async (t) => {
    const { proxy, send } = await setUp(t);
    proxy.status = status;
    const error = await t.throwsAsync(send(), { code: 'proxy' });
    t.true(error?.message.includes(proxy.host) && error.message.includes(String(status)), error?.message);
  });
}

test('a proxy that wants to know who we are is the failure for http too', async (t) => {
  const { proxy, send } = await setUp(t, { scheme: 'http' });
  proxy.status = 407;
  const error = await t.throwsAsync(send(), { code: 'proxy' });
  t.true(error?.message.includes(proxy.host));
});

for (const scheme of ['https', 'http'] as const) {
  test(`a proxy that is not there is the failure, and its host is named (${scheme})`, async (t) => {
    const host = `127.0.0.1:${await freePort()}`;
    const { send } = await setUp(t, { scheme, proxyUrl: `http://${host}` });
    const error = await t.throwsAsync(send(), { code: 'proxy' });
    t.true(error?.message.includes(host));
  });

  test(`a proxy whose name nobody knows is the failure (${scheme})`, async (t) => {
    const { send } = await setUp(t, { scheme, proxyUrl: 'http://proxy.test:3128' });
    t.regex((await t.throwsAsync(send(), { code: 'proxy' }))?.message ?? '', /proxy\.test:3128/);
  });
}

test('a proxy that closes the connection instead of opening a tunnel is the failure', async (t) => {
  const { proxy, send } = await setUp(t);
  proxy.fault = 'close';
  await t.throwsAsync(send(), { code: 'proxy' });
});

for (const fault of ['silent', 'mute'] as const) {
  test(`a proxy that is ${fault} is given up after the time for a connection`, async (t) => {
    const { proxy, send } = await setUp(t, { connect: 1_000 });
    proxy.fault = fault;
    const start = performance.now();
    await t.throwsAsync(send(), { code: 'timeout' });
    const waited = performance.now() - start;
    t.true(waited > 900 && waited < 5_000, `${waited} ms`);
  });
}

test('a proxy that is not trusted is the failure', async (t) => {
  const { send } = await setUp(t, { secureProxy: true, certificateNames: ['registry.test'] });
  await t.throwsAsync(send(), { code: 'proxy' });
});

for (const scheme of ['https', 'http'] as const) {
  test(`a literal address that may not be led to is not asked of the proxy (${scheme})`, async (t) => {
    const { proxy, sendTo } = await setUp(t, { scheme });
    for (const host of ['10.0.0.1', '127.0.0.1', '169.254.169.254', '[::1]', '2130706433']) {
      await t.throwsAsync(sendTo(host), { code: 'redirect', message: /refused to follow/ });
    }
    t.deepEqual(proxy.asked, []);
  });

  test(`a name that resolves here to forbidden addresses alone is not asked of the proxy (${scheme})`, async (t) => {
    const known = { 'cdn.test': ['10.0.0.1', '169.254.169.254'], 'mixed.test': ['10.0.0.1', '8.8.8.8'] };
    const { proxy, port, sendTo } = await setUp(t, { scheme, known });
    await t.throwsAsync(sendTo(`cdn.test:${port}`), { code: 'redirect' });
    t.deepEqual(proxy.asked, []);
    proxy.resolve['mixed.test'] = '127.0.0.1';
    if (scheme === 'http') t.is(await sendTo(`mixed.test:${port}`), 404);
  });

  test(`a name that does not resolve here is the proxy’s to resolve (${scheme})`, async (t) => {
    const { port, sendTo } = await setUp(t, { scheme });
    t.is(await sendTo(`cdn.test:${port}`), 404);
  });
}

test('a redirect host that the administrator named is asked of the proxy wherever it is', async (t) => {
  const known = { 'cdn.test': ['10.0.0.1'] };
  const { port, sendTo } = await setUp(t, { known, redirectHosts: ['*.test'] });
  t.is(await sendTo(`cdn.test:${port}`), 404);
});

test('an upstream given by a loopback address may lead to the loopback through a proxy as well', async (t) => {
  const { port, send, sendTo, upstream } = await setUp(t, { name: '127.0.0.1' });
  t.is(await send(), 404);
  t.is(await sendTo(upstream.cdnHost), 404);
  await t.throwsAsync(sendTo(`10.0.0.1:${port}`), { code: 'redirect' });
});

test('names that nobody here can resolve in time delay a host once', async (t) => {
  let asked = 0;
  const hanging = () => {
    asked++;
    return new Promise<LookupAddress[]>(() => {});
  };
  const proxy = await startScriptableProxy();
  t.teardown(() => proxy.close());
  proxy.status = 404;
  const transport = createTransport(new URL('http://registry.test'), {
    authorities: [],
    proxy: { url: proxy.url, noProxy: [] },
    network: { resolve: hanging },
  });
  t.teardown(() => transport.destroy());
  const { signal } = new AbortController();
  for (let count = 0; count < 3; count++) {
    const answer = await transport.send(new URL('http://cdn.test/'), { method: 'GET', headers: {}, signal });
    await answer.body.dump();
  }
  t.is(asked, 1);
});
