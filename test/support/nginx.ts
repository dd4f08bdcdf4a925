/** A real nginx in front of a broker in the test's own process: the whole cache but its supervisor. */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { type IncomingHttpHeaders, request as plainRequest } from 'node:http';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { type BrokerOptions, runBroker } from '../../src/cache/broker/broker.ts';
import { type CacheConfig, type CacheMirror, localSocket } from '../../src/cache/cache-config.ts';
import { type CacheFileName, cacheFiles } from '../../src/cache/cache-files.ts';
import { reloadNginx, startNginx, waitUntilServing } from '../../src/cache/nginx-process.ts';
import { defaultView } from '../../src/cache/nginx-view.ts';
import type { KeyPair } from '../../src/cache/tls/authority.ts';
import { createLogger } from '../../src/observe/log.ts';
import { freePort } from '../kubernetes/free-ports.ts';
import { cacheConfig, cacheMirror } from './cache-config.ts';
import { makeAuthority, makeLeaf, type TestAuthority } from './certificates.ts';
import { assertNoSecretsBelow, noteAuthorization } from './secrets.ts';

export interface Asked {
  readonly method?: string;
  readonly headers?: Record<string, string | string[]>;
  /** Take this many bytes of the body, then break off. */
  readonly breakAfter?: number;
  /** Another address of the cache than the first: a port, or a unix socket without TLS. */
  readonly at?: number | string;
  readonly servername?: string;
  /** What the client shows of itself. */
  readonly certificate?: KeyPair;
  /** PEM authorities that the client trusts, where they are others than the cache's own. */
  readonly ca?: string;
}

export interface Received {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  /** False when the connection broke before the end. */
  readonly complete: boolean;
  /** Milliseconds until the first byte of the body. */
  readonly firstByteMs: number;
  readonly totalMs: number;
}

export interface TestCache {
  readonly port: number;
  readonly config: CacheConfig;
  readonly authority: TestAuthority;
  /** Asks over TLS on a connection of its own; rejects when there is no answer at all. */
  get(path: string, asked?: Asked): Promise<Received>;
  /** Removes cached files of a mirror; `share` of them, at random. Returns how many. */
  evict(share?: number): number;
  stopBroker(): Promise<void>;
  startBroker(): Promise<void>;
  /** Takes on another configuration as a pod does: new files, then HUP. */
  reload(mirrors: readonly CacheMirror[], changes?: Partial<CacheConfig>): Promise<void>;
  /** Ends nginx and broker at once: what a pod that is gone looks like to the others. */
  stop(): Promise<void>;
}

/** What the broker has of the process around it: the name of this one of several replicas, where it logs, its network. */
export type BrokerSurroundings = Partial<Pick<BrokerOptions, 'log' | 'network' | 'replica'>>;

export interface CacheMore extends BrokerSurroundings {
  /** May mount a volume for all that lies on the cache's. */
  readonly prepareData?: (dir: string) => void;
}

/** Starts a cache for `mirrors` (their `cacheDir` is put below the test's own folder) and stops it when the test ends. */
export async function startCache(
  t: Pick<ExecutionContext, 'teardown'>,
  mirrors: readonly CacheMirror[],
  changes: Partial<CacheConfig> = {},
  { prepareData = () => {}, ...surroundings }: CacheMore = {},
): Promise<TestCache> {
  const root = mkdtempSync(join(tmpdir(), 'cache-'));
  t.teardown(() => {
    try {
      assertNoSecretsBelow(root, [join(root, 'tls')]);
    } finally {
      rmSync(root, { recursive: true, force: true });
    }
  });
  mkdirSync(join(root, 'data'));
  prepareData(join(root, 'data'));
  const authority = await makeAuthority(join(root, 'tls'));
  const port = await freePort();
  const below = (wanted: readonly CacheMirror[]) =>
    wanted.map((mirror) => ({ ...mirror, cacheDir: join(root, 'data', mirror.name) }));
  const base: Partial<CacheConfig> = {
    listen: [{ address: '127.0.0.1', port }],
    certificates: [{ ...(await makeLeaf(authority, ['127.0.0.1'])), names: [] }],
    accessLog: join(root, 'access.log'),
    workerProcesses: 2,
    ...(process.getuid?.() === 0 && { user: 'root' }),
  };
  let config = cacheConfig(below(mirrors), { ...base, ...changes }, root);
  for (const dir of ['run', 'tmp', 'config', 'data', 'data/broker'])
    mkdirSync(join(root, dir), { recursive: true });
  const confFile = write(config, 'nginx.conf');
  write(config, 'default.conf');
  const broker = new BrokerInProcess(write(config, 'broker.json'), surroundings);
  await broker.start();
  const nginx = startNginx(confFile, localSocket(config.paths));
  const stop = async () => {
    if (nginx.exitCode === null && nginx.signalCode === null) {
      nginx.kill('SIGTERM');
      await once(nginx, 'exit');
    }
    await broker.stop();
  };
  t.teardown(stop);
  const serving = () =>
    whileRunning(nginx, config, (ended) =>
      waitUntilServing(config.listen[0]!, {
        generation: defaultView(config).generation,
        signal: AbortSignal.any([ended, AbortSignal.timeout(30_000)]),
      }),
    );
  await serving();
  return {
    port,
    authority,
    get config() {
      return config;
    },
    get: (path, asked) => ask({ port, authority, path }, asked),
    evict: (share = 1) => evict(join(root, 'data'), share),
    stopBroker: () => broker.stop(),
    startBroker: () => broker.start(),
    stop,
    async reload(wanted, more = {}) {
      config = { ...config, mirrors: below(wanted), ...more };
      for (const name of ['broker.json', 'nginx.conf', 'default.conf'] as const) write(config, name);
      await reloadNginx(join(config.paths.runDir, 'nginx.pid'));
      await serving();
    },
  };
}

/** A mirror named `m` of an upstream that a test runs. */
export function mirrorOf(
  upstream: { scheme?: 'http' | 'https'; host: string },
  changes: Partial<CacheMirror> = {},
): CacheMirror {
  const url = `${upstream.scheme ?? 'https'}://${upstream.host}`;
  return cacheMirror('m', url, { masquerade: 'mirror.test', caFiles: [], ...changes });
}

/** Runs `wait` until nginx ends; rejects with the end of its log. */
async function whileRunning(
  nginx: ChildProcess,
  { paths }: CacheConfig,
  wait: (ended: AbortSignal) => Promise<void>,
): Promise<void> {
  const ended = new AbortController();
  const end = () => ended.abort();
  nginx.once('exit', end);
  try {
    await wait(ended.signal);
  } catch (cause) {
    const log = readFileSync(join(paths.runDir, 'error.log'), 'utf8').slice(-2000);
    throw new Error(`nginx does not serve (exit code ${nginx.exitCode}): ${log}`, { cause });
  } finally {
    nginx.off('exit', end);
  }
}

class BrokerInProcess {
  readonly #configFile: string;
  readonly #surroundings: BrokerSurroundings;
  #stop = new AbortController();
  #done: Promise<void> = Promise.resolve();

  constructor(configFile: string, surroundings: BrokerSurroundings) {
    this.#configFile = configFile;
    this.#surroundings = surroundings;
  }

  async start(): Promise<void> {
    this.#stop = new AbortController();
    const ready = Promise.withResolvers<void>();
    const log = createLogger({ level: 'silent' });
    const options = { log, ...this.#surroundings, configFile: this.#configFile, followMs: 50, drainMs: 200 };
    this.#done = runBroker(options, this.#stop.signal, ready.resolve);
    this.#done.catch(ready.reject);
    await ready.promise;
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#done;
  }
}

function write(config: CacheConfig, name: CacheFileName): string {
  const path = join(config.paths.confDir, name);
  // Into a file, where it can be searched; `info` says more than is said elsewhere.
  const errorLog = `error_log ${join(config.paths.runDir, 'error.log')} info;`;
  writeFileSync(path, cacheFiles(config)[name].replace('error_log stderr warn;', errorLog));
  return path;
}

export function ask(
  { port, authority, path }: { port: number; authority: TestAuthority; path: string },
  { method = 'GET', headers = {}, breakAfter, at = port, servername, certificate, ca }: Asked = {},
): Promise<Received> {
  const startedAt = performance.now();
  for (const name of ['Authorization', 'Proxy-Authorization']) noteAuthorization(headers[name]);
  return new Promise((resolve, reject) => {
    // Tests say any Host; node would look for that name in the certificate.
    const checkServerIdentity = () => undefined;
    const tls = {
      ca: ca ?? authority.certificatePem,
      checkServerIdentity,
      ...(servername !== undefined && { servername }),
      ...(certificate && { cert: certificate.certificatePem, key: certificate.keyPem }),
    };
    const where = typeof at === 'string' ? { socketPath: at } : { host: '127.0.0.1', port: at, ...tls };
    const send = typeof at === 'string' ? plainRequest : request;
    const asked = send({ ...where, path, method, headers, agent: false }, (response) => {
      const pieces: Buffer[] = [];
      let length = 0;
      let firstByteMs = 0;
      const done = (complete: boolean) => {
        const body = Buffer.concat(pieces);
        const totalMs = performance.now() - startedAt;
        const { statusCode: status = 0, headers } = response;
        resolve({ status, headers, body, complete, firstByteMs, totalMs });
      };
      response.on('data', (piece: Buffer) => {
        if (length === 0) firstByteMs = performance.now() - startedAt;
        pieces.push(piece);
        length += piece.length;
        if (breakAfter === undefined || length < breakAfter) return;
        done(false);
        asked.destroy();
      });
      response.on('end', () => done(true));
      response.on('error', () => done(false));
    });
    asked.on('error', reject).end();
  });
}

function evict(dir: string, share: number): number {
  const files = readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /^[0-9a-f]{32}$/.test(entry.name))
    .filter(() => Math.random() < share);
  for (const file of files) {
    try {
      unlinkSync(join(file.parentPath, file.name));
    } catch {
      // nginx was quicker.
    }
  }
  return files.length;
}
