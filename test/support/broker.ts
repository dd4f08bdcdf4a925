/** A broker in the test's own process, asked over its socket as nginx does. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type IncomingHttpHeaders, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { runBroker } from '../../src/cache/broker/broker.ts';
import type { BrokerConfig, BrokerMirror } from '../../src/cache/broker/broker-config.ts';
import { type Mirror, openMirror } from '../../src/cache/broker/mirror.ts';
import { Peers } from '../../src/cache/broker/peers/peers.ts';
import { createLogger } from '../../src/observe/log.ts';
import type { Network } from '../../src/registry/transport.ts';
import { cacheMirror } from './cache-config.ts';
import { assertNoSecretsIn } from './secrets.ts';

export interface BrokerAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

export interface TestBroker {
  readonly dir: string;
  readonly socket: string;
  /** Every line it logged. */
  readonly log: string[];
  /** Rejects when the connection breaks before the body is whole. */
  get(path: string, headers?: Record<string, string>, method?: string): Promise<BrokerAnswer>;
  configure(config: BrokerConfig): void;
  stop(): Promise<void>;
}

const timeouts = { connect: 1_000, headers: 2_000, bodyIdle: 2_000 };

export const sliceBytes = 1024 * 1024;

/** A mirror named `m` of `upstreamUrl`. */
export function mirrorOf(upstreamUrl: string, more: Partial<BrokerMirror> = {}): BrokerMirror {
  const { names: _selectors, ...mirror } = cacheMirror('m', upstreamUrl, { caFiles: [] });
  return { ...mirror, ...(more.credentials?.length && { access: 'shared' }), ...more };
}

/** A mirror as a broker without other replicas opens it; closed when the test ends. */
export async function openTestMirror(t: ExecutionContext, config: BrokerMirror): Promise<Mirror> {
  const log = createLogger({ level: 'silent' });
  const peers = new Peers('this', log);
  const mirror = await openMirror(config, { log, peers });
  t.teardown(() => Promise.all([mirror.destroy(), peers.destroy()]));
  return mirror;
}

/** A broker below `dir` that has one process and no other replicas. */
export function brokerConfig(dir: string, mirrors: readonly BrokerMirror[]): BrokerConfig {
  return {
    sockets: [join(dir, 'broker.sock')],
    localSocket: join(dir, 'local.sock'),
    requestLog: join(dir, 'requests.log'),
    nginxPidFile: join(dir, 'nginx.pid'),
    stateDir: join(dir, 'state'),
    sliceBytes,
    mirrors,
  };
}

/** Starts a broker for the mirrors and stops it when the test ends. */
export async function startBroker(
  t: ExecutionContext,
  mirrors: readonly BrokerMirror[],
  network: Network = {},
  shared: { peers?: BrokerConfig['peers']; replica?: string; followMs?: number } = {},
): Promise<TestBroker> {
  const dir = mkdtempSync(join(tmpdir(), 'broker-'));
  const [configFile, socket] = [join(dir, 'broker.json'), join(dir, 'broker.sock')];
  const configure = (config: BrokerConfig) => writeFileSync(configFile, JSON.stringify(config));
  const { peers, replica, followMs = 50 } = shared;
  configure({ ...brokerConfig(dir, mirrors), ...(peers && { peers }) });
  const lines: string[] = [];
  const log = createLogger({ level: 'debug', destination: { write: (line) => void lines.push(line) } });
  const stop = new AbortController();
  const ready = Promise.withResolvers<void>();
  const done = runBroker(
    {
      configFile,
      log,
      network: { timeouts, ...network },
      followMs,
      drainMs: 500,
      ...(replica !== undefined && { replica }),
    },
    stop.signal,
    ready.resolve,
  );
  done.catch(ready.reject);
  const end = async () => {
    stop.abort();
    await done;
  };
  t.teardown(async () => {
    await end().catch(() => {});
    rmSync(dir, { recursive: true, force: true });
    assertNoSecretsIn('log of the broker', lines.join(''));
  });
  await ready.promise;
  return {
    dir,
    socket,
    log: lines,
    configure,
    stop: end,
    get: (path, headers, method) => ask(socket, path, headers, method),
  };
}

/** One request over a unix socket. */
export function ask(
  socketPath: string,
  path: string,
  headers: Record<string, string> = {},
  method = 'GET',
  body = '',
): Promise<BrokerAnswer> {
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath, path, headers, method, agent: false }, (response) => {
      const pieces: Buffer[] = [];
      response.on('data', (piece: Buffer) => pieces.push(piece));
      response.on('error', reject);
      response.on('end', () => {
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(pieces) });
      });
    });
    asked.on('error', reject).end(body);
  });
}
