/** A registry in the cluster's internet: distribution's, over TLS, at an address and a name of its own. */
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePorts } from '../kubernetes/free-ports.ts';
import { makeAuthority, makeLeaf, type TestAuthority } from '../support/certificates.ts';
import { eventually } from '../support/eventually.ts';
import type { Image } from '../support/images.ts';
import { pushImage, type TestRegistry } from '../support/registry.ts';
import type { Internet } from './internet.ts';
import { openPort } from './open-port.ts';

/** One request that it answered. */
export interface UpstreamRequest {
  readonly method: string;
  readonly path: string;
  readonly status: number;
  /** Of the body. */
  readonly bytes: number;
  /** A node's address: pods' packets have it too, outside of the cluster. */
  readonly client: string;
  /** What it calls itself: containerd, or one of our caches. */
  readonly agent: string;
}

export interface UpstreamOptions {
  /** What the cluster calls it. */
  readonly name: string;
  /** Of the internet's range. */
  readonly address: string;
  readonly authority?: TestAuthority;
}

export class Upstream {
  readonly name: string;
  readonly address: string;
  readonly authority: TestAuthority;
  readonly #internet: Internet;
  readonly #configFile: string;
  readonly #access: TestRegistry;

  constructor(options: UpstreamOptions, parts: UpstreamParts) {
    this.name = options.name;
    this.address = options.address;
    this.authority = parts.authority;
    this.#internet = parts.internet;
    this.#configFile = parts.configFile;
    this.#access = {
      host: `127.0.0.1:${parts.port}`,
      port: parts.port,
      authority: parts.authority,
      logFile: '',
      start: () => this.start(),
      stop: () => this.stop(),
    };
  }

  async start(): Promise<void> {
    const command = ['docker-registry', 'serve', this.#configFile];
    await this.#internet.place.startDaemon(this.#daemon, { command, env: { OTEL_TRACES_EXPORTER: 'none' } });
  }

  async stop(): Promise<void> {
    await this.#internet.place.endDaemon(this.#daemon, 'SIGKILL');
  }

  /** From now on it asks who one is, as an `auth` section of its configuration says; `push` is not possible any more. */
  async protect(auth: object): Promise<void> {
    const configuration: object = JSON.parse(readFileSync(this.#configFile, 'utf8'));
    writeFileSync(this.#configFile, JSON.stringify({ ...configuration, auth }));
    await this.stop();
    await this.start();
  }

  /** From this machine; not while the internet is cut. */
  async push(repository: string, image: Image): Promise<void> {
    await eventually(() => pushImage(this.#access, repository, image), { timeout: 20_000 });
  }

  /** What it was asked since it was started first, but for what `push` asked. */
  requests(): UpstreamRequest[] {
    const lines = this.#internet.place.log(this.#daemon).split('\n');
    return lines.flatMap((line) => {
      const [, client = '', method = '', path = '', status, bytes, agent = ''] = accessLine.exec(line) ?? [];
      const isOurs =
        status === undefined || ['POST', 'PUT', 'PATCH'].includes(method) || client === '127.0.0.1';
      return isOurs ? [] : [{ client, method, path, status: Number(status), bytes: Number(bytes), agent }];
    });
  }

  get #daemon(): string {
    return `registry-${this.name}`;
  }
}

/** Apache's combined log format, as the registry's own access log has it. */
const accessLine = /^(\S+) - \S+ \[[^\]]+\] "(\w+) (\S+) [^"]*" (\d+) (\d+) "[^"]*" "([^"]*)"/;

interface UpstreamParts {
  readonly internet: Internet;
  readonly authority: TestAuthority;
  readonly configFile: string;
  readonly port: number;
}

/** Starts one; the internet's DNS has to be told its name (`internet.setNames`). */
export async function startUpstream(internet: Internet, options: UpstreamOptions): Promise<Upstream> {
  const folder = join(internet.place.folder, `registry-${options.name}`);
  mkdirSync(folder, { recursive: true });
  const authority =
    options.authority ?? (await makeAuthority(join(folder, 'tls'), 'authority of the internet'));
  const leaf = await makeLeaf(authority, [options.name, '127.0.0.1'], options.name);
  const configFile = join(folder, 'config.yml');
  // JSON is YAML.
  writeFileSync(configFile, JSON.stringify(configuration(folder, options.address, leaf)));
  const [port = 0] = await freePorts(1);
  const upstream = new Upstream(options, { internet, authority, configFile, port });
  await upstream.start();
  await openPort(port, internet.place, { address: options.address, port: 443 });
  return upstream;
}

function configuration(folder: string, address: string, leaf: { certFile: string; keyFile: string }): object {
  return {
    version: 0.1,
    log: { level: 'info', accesslog: { disabled: false } },
    storage: { filesystem: { rootdirectory: join(folder, 'data') } },
    http: {
      addr: `${address}:443`,
      secret: createHash('sha256').update(folder).digest('hex'),
      tls: { certificate: leaf.certFile, key: leaf.keyFile },
    },
  };
}
