import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import type { Duplex } from 'node:stream';
import test, { type ExecutionContext } from 'ava';
import { Agent } from 'undici';
import { createClient } from '../../../src/kube/client.ts';
import { ApiError, ConnectionError } from '../../../src/kube/errors.ts';
import { openWebSocket, type WebSocketRequest } from '../../../src/kube/web-socket.ts';
import { freePort } from '../../kubernetes/free-ports.ts';
import { acceptWebSocket, type ServerWebSocket } from '../../support/web-socket-server.ts';

type OnUpgrade = (request: IncomingMessage, connection: Duplex) => void;

async function serve(t: ExecutionContext, onUpgrade: OnUpgrade): Promise<string> {
  const server = createServer().on('upgrade', onUpgrade).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function request(
  t: ExecutionContext,
  url: string,
  changes: Partial<WebSocketRequest> = {},
): WebSocketRequest {
  const dispatcher = new Agent();
  t.teardown(() => dispatcher.destroy());
  return {
    url: new URL(url),
    what: 'GET /exec',
    headers: { authorization: 'Bearer t' },
    protocols: ['v5', 'v4'],
    dispatcher,
    timeoutMs: 5_000,
    ...changes,
  };
}

test('headers and subprotocols reach the server, messages the client', async (t) => {
  let seen: IncomingMessage | undefined;
  const server = await serve(t, (asked, connection) => {
    seen = asked;
    acceptWebSocket(asked, connection, 'v4').send(Buffer.from('hello'));
  });
  const { socket, destroy } = await openWebSocket(request(t, server));
  const [{ data }] = (await once(socket, 'message')) as [{ data: ArrayBuffer }];
  t.is(Buffer.from(data).toString(), 'hello');
  t.is(socket.protocol, 'v4');
  t.is(seen?.headers.authorization, 'Bearer t');
  t.is(seen?.headers['sec-websocket-protocol'], 'v5, v4');
  destroy();
});

test('a refused handshake is an ApiError with the words of its body', async (t) => {
  const status = JSON.stringify({ kind: 'Status', reason: 'TooManyRequests', message: 'slow down' });
  const server = await serve(t, (_asked, connection) => {
    connection.end(`HTTP/1.1 429 No\r\nRetry-After: 7\r\nContent-Length: ${status.length}\r\n\r\n${status}`);
  });
  const refused = await t.throwsAsync(openWebSocket(request(t, server)), { instanceOf: ApiError });
  t.is(refused.status, 429);
  t.is(refused.retryAfterMs, 7000);
  t.is(refused.message, 'GET /exec: 429 TooManyRequests slow down');
});

test('nobody who listens is a ConnectionError with the cause', async (t) => {
  const failed = await t.throwsAsync(openWebSocket(request(t, `http://127.0.0.1:${await freePort()}`)), {
    instanceOf: ConnectionError,
  });
  t.regex(failed.message, /ECONNREFUSED/);
});

test('a server that never answers the handshake is given up, and so is one that is no longer wanted', async (t) => {
  const server = createTcpServer((connection) => connection.resume()).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const late = await t.throwsAsync(openWebSocket(request(t, url, { timeoutMs: 50 })), {
    instanceOf: ConnectionError,
  });
  t.regex(late.message, /no answer within 0.05 s/);
  const stop = new AbortController();
  const opening = openWebSocket(request(t, url, { signal: stop.signal }));
  stop.abort(new Error('enough'));
  await t.throwsAsync(opening, { message: 'enough' });
});

test('a peer that answers pings is kept, one that is silent is cut off', async (t) => {
  const heartbeat = { pingMs: 10, silentMs: 200 };
  for (const deaf of [false, true]) {
    let peer: ServerWebSocket | undefined;
    const server = await serve(t, (asked, connection) => {
      peer = acceptWebSocket(asked, connection, 'v5', { deaf });
    });
    const { socket, destroy } = await openWebSocket(request(t, server, { heartbeat }));
    const startedAt = performance.now();
    if (!deaf) setTimeout(() => peer?.close(4000), 400);
    const [{ code }] = (await once(socket, 'close')) as [{ code: number }];
    t.is(code, deaf ? 1006 : 4000);
    t.true(performance.now() - startedAt >= 200);
    destroy();
  }
});

test('who was held up himself does not take the peer for dead', async (t) => {
  const heartbeat = { pingMs: 10, silentMs: 200 };
  let peer: ServerWebSocket | undefined;
  const server = await serve(t, (asked, connection) => {
    peer = acceptWebSocket(asked, connection, 'v5');
  });
  const { socket, destroy } = await openWebSocket(request(t, server, { heartbeat }));
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 400);
  setTimeout(() => peer?.close(4000), 100);
  const [{ code }] = (await once(socket, 'close')) as [{ code: number }];
  t.is(code, 4000);
  destroy();
});

test('a token that ran out is renewed once', async (t) => {
  const shown: (string | undefined)[] = [];
  const url = await serve(t, (asked, connection) => {
    shown.push(asked.headers.authorization);
    if (shown.length === 1) return void connection.end('HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n');
    const socket = acceptWebSocket(asked, connection, 'v5.channel.k8s.io');
    socket.send(Buffer.from(`\x03${JSON.stringify({ status: 'Success' })}`));
    socket.close();
  });
  const client = createClient(
    {
      url,
      tls: async () => ({}),
      authorization: async (options) => (options?.fresh ? 'Bearer new' : 'Bearer old'),
    },
    { userAgent: 'test' },
  );
  t.teardown(() => client.close());
  const exec = await client.exec({ pod: { namespace: 'n', name: 'p' }, container: 'c', command: ['x'] });
  t.is(await exec.exitCode, 0);
  t.deepEqual(shown, ['Bearer old', 'Bearer new']);
});
