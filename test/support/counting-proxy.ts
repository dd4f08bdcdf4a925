/**
 * A plain HTTP proxy in front of an API server: records every request, and can cut, delay or stop at the n-th write. The
 * client's own Authorization is passed on.
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { Agent, request as httpsRequest } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export type Verb = 'get' | 'list' | 'watch' | 'create' | 'apply' | 'patch' | 'update' | 'delete';

/** One request as it was answered. */
export interface ProxiedRequest {
  readonly verb: Verb;
  readonly path: string;
  readonly status: number;
}

export interface CountingProxy {
  /** Admin's kubeconfig through this proxy. */
  readonly kubeconfigPath: string;
  readonly requests: readonly ProxiedRequest[];
  /** Writes but the Lease's. */
  writes(): ProxiedRequest[];
  /** Forgets what was recorded, and at which write to stop. */
  reset(): void;
  /** Calls `then` when the n-th write from now on (the Lease's not counted) has taken effect; its answer is never sent. */
  stopAtWrite(n: number, then: () => void): void;
  /** Milliseconds by which each request is held back. */
  delayMs: number;
  /** Ends all connections in the middle of whatever they do. */
  cut(): void;
  close(): Promise<void>;
}

/** Starts a proxy in front of the API server at `url`. */
export async function startCountingProxy(plane: {
  url: string;
  caFile: string;
  adminToken: string;
}): Promise<CountingProxy> {
  const agent = new Agent({ keepAlive: true, ca: await readFile(plane.caFile) });
  const requests: ProxiedRequest[] = [];
  let stop: { left: number; then: () => void } | undefined;
  const server = createServer((incoming, outgoing) => {
    setTimeout(() => forward(incoming, outgoing), proxy.delayMs);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const folder = await mkdtemp(join(tmpdir(), 'counting-proxy-'));
  const proxy: CountingProxy = {
    kubeconfigPath: join(folder, 'config'),
    requests,
    writes: () => requests.filter(isWrite),
    reset() {
      requests.splice(0);
      stop = undefined;
    },
    stopAtWrite(n, then) {
      stop = { left: n, then };
    },
    delayMs: 0,
    cut: () => server.closeAllConnections(),
    async close() {
      await closed(server);
      agent.destroy();
      await rm(folder, { recursive: true, force: true });
    },
  };
  const { port } = server.address() as AddressInfo;
  await writeFile(proxy.kubeconfigPath, kubeconfig(`http://127.0.0.1:${port}`, plane.adminToken));
  return proxy;

  function forward(incoming: IncomingMessage, outgoing: ServerResponse): void {
    const target = new URL(incoming.url ?? '/', plane.url);
    const { method = 'GET', headers } = incoming;
    const upstream = httpsRequest(target, { method, headers: { ...headers, host: target.host }, agent });
    upstream.on('response', (answer) => {
      const record = {
        verb: verbOf(incoming, target),
        path: target.pathname,
        status: answer.statusCode ?? 0,
      };
      requests.push(record);
      if (stop !== undefined && isWrite(record)) {
        stop.left -= 1;
        if (stop.left <= 0) {
          const { then } = stop;
          if (stop.left === 0) answer.resume().on('end', then);
          return;
        }
      }
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      // A watch may have nothing else to say for long.
      outgoing.flushHeaders();
      answer.pipe(outgoing);
      answer.on('error', () => outgoing.destroy());
    });
    upstream.on('error', () => outgoing.destroy());
    outgoing.on('close', () => upstream.destroy());
    incoming.on('error', () => upstream.destroy());
    incoming.pipe(upstream);
  }
}

/** True for what changes an object of the cluster; the Lease is renewed all the time. */
function isWrite({ verb, path }: ProxiedRequest): boolean {
  return !['get', 'list', 'watch'].includes(verb) && !path.includes('/leases');
}

function verbOf({ method, headers }: IncomingMessage, target: URL): Verb {
  switch (method) {
    case 'POST':
      return 'create';
    case 'PUT':
      return 'update';
    case 'DELETE':
      return 'delete';
    case 'PATCH':
      return headers['content-type']?.includes('apply-patch') ? 'apply' : 'patch';
    default:
      if (target.searchParams.get('watch') === 'true') return 'watch';
      return isCollection(target.pathname) ? 'list' : 'get';
  }
}

/** `/api/v1/namespaces/n/services` lists, `/api/v1/namespaces/n/services/s` gets. */
function isCollection(path: string): boolean {
  const parts = path.split('/').filter((part) => part !== '');
  const rest = parts.slice(parts[0] === 'api' ? 2 : 3);
  return rest[0] === 'namespaces' && rest.length > 2 ? rest.length === 3 : rest.length === 1;
}

function kubeconfig(server: string, token: string): string {
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'test',
    clusters: [{ name: 'test', cluster: { server } }],
    users: [{ name: 'test', user: { token } }],
    contexts: [{ name: 'test', context: { cluster: 'test', user: 'test' } }],
  });
}

function closed(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
