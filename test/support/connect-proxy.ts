/** An HTTP proxy that takes every tunnel to one port of the loopback, so that an upstream's own name leads to a test's. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import type { ExecutionContext } from 'ava';

/** Resolves with its URL. Go's programs ask no proxy for the loopback itself. */
export async function startConnectProxy(
  t: Pick<ExecutionContext, 'teardown'>,
  port: number,
): Promise<string> {
  const server = createServer();
  server.on('connect', (_, client: Socket) => {
    const socket = connect(port, '127.0.0.1', () => client.write('HTTP/1.1 200 OK\r\n\r\n'));
    for (const end of [client, socket]) end.on('error', () => [client, socket].map((each) => each.destroy()));
    client.pipe(socket).pipe(client);
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  t.teardown(() => server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
