import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import { Agent } from 'undici';
import { PeerLink } from '../../../../../src/cache/broker/peers/peer-link.ts';
import { UpstreamError } from '../../../../../src/registry/upstream-error.ts';

test('one whose machine is gone without a word is given up, also by those who wait for it already', async (t) => {
  const link = new PeerLink({ name: 'm-1', host: '127.0.0.1', port: await silentPort(t) });
  const start = performance.now();
  const error = await t.throwsAsync(ask(link), { instanceOf: UpstreamError });
  t.is(error?.message, 'm-1: gone');
  t.false(link.isThere);
  t.true(performance.now() - start < 15_000);
});

test('one that is there is waited for, also when it no longer takes new connections', async (t) => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const link = new PeerLink({ name: 'm-1', host: '127.0.0.1', port });
  const stop = new AbortController();
  const asked = ask(link, stop.signal);
  asked.catch(() => {});
  await delay(2_500);
  server.close();
  await delay(2_500);
  t.true(link.isThere);
  stop.abort(new Error('enough'));
  await t.throwsAsync(asked);
});

test('one whose name cannot be resolved for a while goes on being waited for', async (t) => {
  const link = new PeerLink({ name: 'm-1', host: 'm-1.invalid', port: 9 });
  const stop = new AbortController();
  const asked = ask(link, stop.signal);
  asked.catch(() => {});
  await delay(5_000);
  t.true(link.isThere);
  stop.abort(new Error('enough'));
  await t.throwsAsync(asked, { message: /enough|connection failed/ });
});

/** Never answers. */
class Deaf extends Agent {
  override request(options: { signal?: unknown }): never {
    const { signal } = options;
    assert.ok(signal instanceof AbortSignal);
    return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason))) as never;
  }
}

function ask(link: PeerLink, signal: AbortSignal = AbortSignal.timeout(30_000)) {
  return link.send(new Deaf(), { method: 'GET', path: '/', headers: {}, signal });
}

/** A port on which the kernel drops whatever comes, as a machine that is gone does: its queue is full and nobody accepts. */
async function silentPort(t: ExecutionContext): Promise<number> {
  const program = `const server = require('node:net').createServer();
    server.listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => console.log(server.address().port));`;
  const child = spawn(process.execPath, ['-e', program], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.teardown(() => child.kill('SIGKILL'));
  const [text] = await once(child.stdout, 'data');
  child.kill('SIGSTOP');
  const port = Number(text);
  const sockets = Array.from({ length: 6 }, () => connect(port, '127.0.0.1').on('error', () => {}));
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
  });
  await delay(200);
  return port;
}
