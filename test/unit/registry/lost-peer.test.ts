/** An upstream that says nothing on connections that were open before: gone, slow, or on its way out. */
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import type { RequestListener } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import { createTransport } from '../../../src/registry/transport.ts';
import { makeAuthority, makeLeaf } from '../../support/certificates.ts';
import { eventually } from '../../support/eventually.ts';
import { startTcpProxy } from '../../support/tcp-proxy.ts';

const timeouts = { connect: 1_000, headers: 20_000, bodyIdle: 20_000 };
const silenceMs = 1_200;

/** An upstream that answers `/v2/` at once and everything else by `listener`, reached through a proxy that can be frozen. */
async function setUp(t: ExecutionContext, listener: RequestListener) {
  const dir = mkdtempSync(join(tmpdir(), 'lost-peer-'));
  const authority = await makeAuthority(dir);
  const leaf = await makeLeaf(authority, ['127.0.0.1']);
  const server = createServer({ cert: leaf.certificatePem, key: leaf.keyPem }, (request, response) => {
    if (request.url === '/v2/') response.end();
    else listener(request, response);
  });
  let connections = 0;
  server.on('secureConnection', () => connections++);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const proxy = await startTcpProxy(port);
  const transportTo = (place: number) => {
    const transport = createTransport(new URL(`https://127.0.0.1:${place}`), {
      authorities: [authority.certificatePem],
      network: { timeouts, silenceMs },
    });
    t.teardown(() => transport.destroy());
    return async (path: string) => {
      const { signal } = new AbortController();
      const url = new URL(path, transport.origin);
      const answer = await transport.send(url, { method: 'GET', headers: {}, signal });
      await answer.body.dump();
      return answer.status;
    };
  };
  t.teardown(async () => {
    await proxy.stop();
    server.closeAllConnections();
    server.close();
    rmSync(dir, { recursive: true, force: true });
  });
  return {
    server,
    proxy,
    send: transportTo(proxy.port),
    sendDirectly: transportTo(port),
    count: () => connections,
  };
}

test('a peer that is gone is noticed long before it has had its time to answer', async (t) => {
  const { proxy, send } = await setUp(t, () => {});
  await send('/v2/');
  await delay(100);
  proxy.freeze();
  const began = performance.now();
  const expected = { code: 'timeout', message: /no answer, and no new connection either$/ };
  await t.throwsAsync(send('/v2/'), expected);
  const took = performance.now() - began;
  t.true(took >= silenceMs + timeouts.connect - 50, `${took} ms`);
  t.true(took < 5_000, `${took} ms`);
  const again = performance.now();
  await t.throwsAsync(send('/v2/'), expected);
  t.true(performance.now() - again < silenceMs);
  proxy.restore();
  await eventually(async () => t.is(await send('/v2/'), 200), { timeout: 5_000 });
});

test('a peer that is slow is waited for, and asked once for all who wait', async (t) => {
  const { send, count } = await setUp(t, (_, response) => void delay(1_500).then(() => response.end()));
  const began = performance.now();
  t.deepEqual(await Promise.all(Array.from({ length: 8 }, () => send('/slow'))), Array(8).fill(200));
  const asked = count() - 8;
  t.true(asked > 0);
  t.true(asked <= (performance.now() - began) / silenceMs, `${asked} times`);
});

test('a peer on its way out, which lets nobody in any more, has its last answer waited for', async (t) => {
  const { server, sendDirectly } = await setUp(t, (_, response) => {
    server.close();
    void delay(1_500).then(() => response.end());
  });
  t.is(await sendDirectly('/last'), 200);
});
