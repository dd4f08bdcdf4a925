/** Everybody whose figures stand side by side: how each is started, with nothing tuned but what its documentation says. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestAuthority } from '../../test/support/certificates.ts';
import { type Daemon, startDaemon } from './daemon.ts';
import { plainNginxConf } from './nginx-conf.ts';
import { repository, type Store } from './objects.ts';
import type { Scenario } from './scenarios.ts';

/** What all of them are given. */
export interface Ground {
  /** A folder of their own is made in it. */
  readonly dir: string;
  readonly authority: TestAuthority;
  readonly certFile: string;
  readonly keyFile: string;
  /** `address:port`. */
  readonly upstreamHost: string;
  readonly store: Store;
  /** Processes or threads that serve clients. */
  readonly workers: number;
  readonly signal: AbortSignal;
}

export interface Contender {
  readonly name: string;
  /** Where clients ask, in turns. */
  readonly endpoints: readonly string[];
  /** What it can be asked for. */
  readonly takes: (scenario: Scenario) => boolean;
  /** All its processes; `miss` are those that talk to the upstream, where others do not. */
  readonly pids: { readonly all: readonly number[]; readonly miss: readonly number[] };
  stop(): Promise<void>;
}

/** distribution's registry as its documentation sets up a pull-through cache, with TLS. */
export async function startDistribution(
  ground: Ground,
  options: { name: string; program: string; dir: string; port: number },
): Promise<Contender> {
  const { name, program, dir, port } = options;
  const host = '127.0.0.1';
  const configuration = {
    version: 0.1,
    log: { level: 'error' },
    storage: { filesystem: { rootdirectory: join(dir, 'data') }, cache: { blobdescriptor: 'inmemory' } },
    http: {
      addr: `${host}:${port}`,
      secret: 'bench',
      tls: { certificate: ground.certFile, key: ground.keyFile },
    },
    proxy: { remoteurl: `https://${ground.upstreamHost}` },
  };
  const configFile = join(dir, 'config.yml');
  // JSON is YAML.
  writeFileSync(configFile, JSON.stringify(configuration));
  const daemon = await startDaemon(
    {
      program,
      args: ['serve', configFile],
      // No collector of traces listens here; its exporter would try all the time.
      environment: { SSL_CERT_FILE: ground.authority.file, OTEL_TRACES_EXPORTER: 'none' },
      logFile: join(dir, 'registry.log'),
      answers: { host, port },
    },
    ground.signal,
  );
  return contender(name, [`https://${host}:${port}`], daemon, () => true);
}

/** The limit: the upstream's files by nginx alone, over the same TLS, with as many workers. */
export async function startStaticFiles(
  ground: Ground,
  options: { dir: string; port: number },
): Promise<Contender> {
  const { dir, port } = options;
  const host = '127.0.0.1';
  const confFile = join(dir, 'nginx.conf');
  writeFileSync(confFile, staticConf(ground, dir, `${host}:${port}`));
  const daemon = await startDaemon(
    {
      program: 'nginx',
      args: ['-e', join(dir, 'error.log'), '-c', confFile],
      logFile: join(dir, 'error.log'),
      answers: { host, port },
    },
    ground.signal,
  );
  // Files are neither cold nor have they tags.
  const takes = ({ object, upstream }: Scenario) => object === 'blob' && upstream === 'up';
  return contender('static file', [`https://${host}:${port}`], daemon, takes);
}

function staticConf(ground: Ground, dir: string, listen: string): string {
  return plainNginxConf(
    { ...ground, dir, workerProcesses: ground.workers },
    `
  access_log off;
  default_type application/octet-stream;
  server {
    listen ${listen} ssl;
    location /v2/${repository}/blobs/ { alias ${ground.store.dir}/blobs/; }
  }`,
  );
}

function contender(
  name: string,
  endpoints: readonly string[],
  daemon: Daemon,
  takes: Contender['takes'],
): Contender {
  const pids = { all: [daemon.pid], miss: [] };
  return { name, endpoints, takes, pids, stop: () => daemon.stop() };
}
