/**
 * An HTTPS proxy in front of an API server: records every request, and can cut, delay, or hold somebody's n-th write. The
 * client's own Authorization is passed on.
 */
import { mkdtemp, readFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Agent, createServer, request as httpsRequest, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { filesIn } from '../kubernetes/flags.ts';
import { type PodAccess, writeServiceAccount } from './pod-access.ts';

export type Verb = 'get' | 'list' | 'watch' | 'create' | 'apply' | 'patch' | 'update' | 'delete';

/** One request as it was answered. */
export interface ProxiedRequest {
  readonly verb: Verb;
  readonly path: string;
  readonly status: number;
}

export interface CountingProxy {
  /** Of the account whose token was given, through this proxy. */
  readonly access: PodAccess;
  readonly requests: readonly ProxiedRequest[];
  /** Writes but the Lease's. */
  writes(): ProxiedRequest[];
  /** Forgets what was recorded, and what to hold. */
  reset(): void;
  /** The n-th write from now on with `part` in its path takes effect, but is never answered; none after it gets through. */
  holdAtWrite(part: string, n: number): void;
  /** True once that write has taken effect. */
  isHeld(part: string): boolean;
  /** Milliseconds by which each request is held back. */
  delayMs: number;
  /** Ends all connections in the middle of whatever they do. */
  cut(): void;
  close(): Promise<void>;
}

/** Starts a proxy in front of an API server, whose certificate it has; what it writes lies in that one's folder. */
export async function startCountingProxy(
  plane: { url: string; folder: string; adminToken: string },
  token = plane.adminToken,
): Promise<CountingProxy> {
  const files = filesIn(plane.folder);
  const [ca, cert, key] = await Promise.all([read(files.ca), read(files.certificate), read(files.key)]);
  const agent = new Agent({ keepAlive: true, ca });
  const requests: ProxiedRequest[] = [];
  /** Writes that are still answered, by what is in their path; below 0 when the last one has taken effect. */
  const answered = new Map<string, number>();
  const server = createServer({ cert, key }, (incoming, outgoing) => {
    setTimeout(() => forward(incoming, outgoing), proxy.delayMs);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const apiServerUrl = `https://127.0.0.1:${port}`;
  const folder = await mkdtemp(join(plane.folder, 'counting-proxy-'));
  const proxy: CountingProxy = {
    access: await writeServiceAccount(folder, { apiServerUrl, ca, token }),
    requests,
    writes: () => requests.filter(isWrite),
    reset() {
      requests.splice(0);
      answered.clear();
    },
    holdAtWrite: (part, n) => answered.set(part, n - 1),
    isHeld: (part) => (answered.get(part) ?? 0) < 0,
    delayMs: 0,
    cut: () => server.closeAllConnections(),
    async close() {
      await closed(server);
      agent.destroy();
    },
  };
  return proxy;

  function forward(incoming: IncomingMessage, outgoing: ServerResponse): void {
    const target = new URL(incoming.url ?? '/', plane.url);
    const request = { verb: verbOf(incoming, target), path: target.pathname };
    const held = isWrite(request) ? heldPart(request.path) : undefined;
    if (held !== undefined && proxy.isHeld(held)) return;
    const { method = 'GET', headers } = incoming;
    const upstream = httpsRequest(target, { method, headers: { ...headers, host: target.host }, agent });
    upstream.on('response', (answer) => {
      requests.push({ ...request, status: answer.statusCode ?? 0 });
      if (held !== undefined) {
        const left = answered.get(held) ?? 0;
        answered.set(held, left - 1);
        if (left <= 0) {
          answer.resume();
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

  function heldPart(path: string): string | undefined {
    return [...answered.keys()].find((part) => path.includes(part));
  }
}

/** True for what changes an object of the cluster; the Lease is renewed all the time. */
function isWrite({ verb, path }: Pick<ProxiedRequest, 'verb' | 'path'>): boolean {
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

function read(path: string): Promise<string> {
  return readFile(path, 'utf8');
}

function closed(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
