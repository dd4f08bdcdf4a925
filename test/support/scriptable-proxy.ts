/** An HTTP proxy in the test's own process: CONNECT and absolute-form requests, recorded, and refused where a test says so. */
import { once } from 'node:events';
import { createServer, request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { type AddressInfo, connect, type Socket } from 'node:net';

export interface ScriptableProxy {
  readonly url: string;
  readonly host: string;
  /** `CONNECT host:port` and `GET http://host/path`, in order. */
  readonly asked: string[];
  /** Header names and values of each of these. */
  readonly headers: NodeJS.Dict<string | string[]>[];
  /** Answers every request with this status instead of passing it on. */
  status: number | undefined;
  /** `silent`: never answers; `close`: ends the connection instead; `mute`: opens the tunnel and passes nothing on. */
  fault: 'silent' | 'close' | 'mute' | undefined;
  /** Where names lead, whatever they are: a proxy resolves for itself. */
  resolve: Record<string, string>;
  close(): Promise<void>;
}

/** Starts it on a free port of 127.0.0.1; with `tls` clients speak TLS to it. */
export async function startScriptableProxy(tls?: { cert: string; key: string }): Promise<ScriptableProxy> {
  const sockets = new Set<Socket>();
  const server = tls === undefined ? createServer() : createTlsServer(tls);
  const track = (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => socket.destroy()).on('close', () => sockets.delete(socket));
  };
  const note = ({ method, url, headers }: IncomingMessage) => {
    proxy.asked.push(`${method} ${url}`);
    proxy.headers.push(headers);
  };
  const target = (place: string) => {
    const { hostname, port } = new URL(`http://${place}`);
    return { host: proxy.resolve[hostname] ?? hostname, port: Number(port || 80) };
  };
  server.on('connection', track);
  server.on('connect', (request: IncomingMessage, client: Socket) => {
    note(request);
    client.on('error', () => client.destroy());
    if (proxy.fault === 'silent') return;
    if (proxy.fault === 'close') return client.destroy();
    if (proxy.status !== undefined) return client.end(`HTTP/1.1 ${proxy.status} No\r\n\r\n`);
    const upstream = connect(target(request.url ?? ''), () => {
      client.write('HTTP/1.1 200 OK\r\n\r\n');
      if (proxy.fault !== 'mute') upstream.pipe(client).pipe(upstream);
    });
    track(upstream);
    client.on('close', () => upstream.destroy());
    upstream.on('close', () => client.destroy());
  });
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    note(request);
    if (proxy.fault === 'silent') return;
    if (proxy.fault === 'close') return response.destroy();
    if (proxy.status !== undefined) return response.writeHead(proxy.status).end('no');
    const { host, pathname, search } = new URL(request.url ?? '');
    const { method = 'GET', headers } = request;
    const upstream = httpRequest({ ...target(host), path: pathname + search, method, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    });
    upstream.on('error', () => response.writeHead(502).end()).end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const proxy: ScriptableProxy = {
    url: `${tls === undefined ? 'http' : 'https'}://${host}`,
    host,
    asked: [],
    headers: [],
    status: undefined,
    fault: undefined,
    resolve: {},
    close: async () => {
      const closed = once(server, 'close');
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
  return proxy;
}
