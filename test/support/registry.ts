/** distribution's registry (Debian's docker-registry) as an upstream: over TLS, on a free port, with its own folder; and pushing to it. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, openSync, writeFileSync } from 'node:fs';
import { request as httpsRequest } from 'node:https';
import { join } from 'node:path';
import { freePort } from '../kubernetes/free-ports.ts';
import { makeAuthority, makeLeaf, type TestAuthority } from './certificates.ts';
import { eventually } from './eventually.ts';
import type { Image } from './images.ts';

/** A running registry. */
export interface TestRegistry {
  /** `127.0.0.1:PORT`. */
  readonly host: string;
  readonly port: number;
  readonly authority: TestAuthority;
  readonly credentials?: Credentials;
  /** Everything it has logged; lines of its access log tell who asked for what. */
  readonly logFile: string;
  /** Starts it again after `stop`, on the same port with the same content. */
  readonly start: () => Promise<void>;
  readonly stop: () => Promise<void>;
}

export interface Credentials {
  readonly username: string;
  readonly password: string;
}

export interface RegistryOptions {
  readonly credentials?: Credentials;
  readonly authority?: TestAuthority;
  readonly auth?: object;
  readonly program?: string;
  /** Of 127.0.0.1, where it is not just any. */
  readonly port?: number;
  /** What its certificate holds beside the loopback's names. */
  readonly names?: readonly string[];
}

/** Starts a registry below `dir`; with `credentials` it asks for them (htpasswd), with `auth` as that says. */
export async function startRegistry(dir: string, options: RegistryOptions = {}): Promise<TestRegistry> {
  mkdirSync(dir, { recursive: true });
  const authority = options.authority ?? (await makeAuthority(join(dir, 'tls'), 'upstream authority'));
  const leaf = await makeLeaf(authority, ['127.0.0.1', 'localhost', ...(options.names ?? [])], 'registry');
  const port = options.port ?? (await freePort());
  const configFile = join(dir, 'config.yml');
  const logFile = join(dir, 'registry.log');
  // JSON is YAML.
  writeFileSync(configFile, JSON.stringify(configuration(dir, port, leaf, options)));
  let child: ChildProcess | undefined;
  const start = async () => {
    const log = openSync(logFile, 'a');
    // Ends with us, even when the test run is killed.
    const args = ['--pdeathsig', 'KILL', '--', options.program ?? 'docker-registry', 'serve', configFile];
    // Version 3 would send traces to a collector that is not there.
    const env = { ...process.env, OTEL_TRACES_EXPORTER: 'none' };
    child = spawn('setpriv', args, { stdio: ['ignore', log, log], env });
    await eventually(() => get({ port, authority, path: '/v2/' }), { message: 'The registry did not start' });
  };
  const stop = async () => {
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  };
  await start();
  const { credentials } = options;
  return {
    host: `127.0.0.1:${port}`,
    port,
    authority,
    ...(credentials && { credentials }),
    logFile,
    start,
    stop,
  };
}

/** Pushes blobs, manifests and tags of `image` to `repository` over the registry's API. */
export async function pushImage(registry: TestRegistry, repository: string, image: Image): Promise<void> {
  for (const blob of image.blobs) {
    const begun = await put(registry, 'POST', `/v2/${repository}/blobs/uploads/`, undefined, {});
    const location = new URL(String(begun.headers['location']), `https://${registry.host}`);
    location.searchParams.set('digest', blob.digest);
    const headers = { 'content-type': 'application/octet-stream' };
    await put(registry, 'PUT', location.pathname + location.search, blob.content, headers);
  }
  for (const manifest of image.manifests) {
    for (const reference of [manifest.digest, ...manifest.tags]) {
      const headers = { 'content-type': manifest.mediaType };
      await put(registry, 'PUT', `/v2/${repository}/manifests/${reference}`, manifest.content, headers);
    }
  }
}

function configuration(
  dir: string,
  port: number,
  leaf: { certFile: string; keyFile: string },
  { credentials, auth }: { credentials?: Credentials; auth?: object },
): object {
  const path = join(dir, 'htpasswd');
  if (credentials !== undefined) {
    const { username, password } = credentials;
    writeFileSync(path, execFileSync('htpasswd', ['-Bbn', username, password]));
  }
  return {
    version: 0.1,
    log: { level: 'info', formatter: 'json', accesslog: { disabled: false } },
    storage: { filesystem: { rootdirectory: join(dir, 'data') }, delete: { enabled: true } },
    http: {
      addr: `127.0.0.1:${port}`,
      secret: createHash('sha256').update(dir).digest('hex'),
      tls: { certificate: leaf.certFile, key: leaf.keyFile },
    },
    ...(credentials && { auth: { htpasswd: { realm: 'test', path } } }),
    ...(auth && { auth }),
  };
}

interface Asked {
  readonly port: number;
  readonly authority: TestAuthority;
  readonly credentials?: Credentials;
}

function put(registry: Asked, method: string, path: string, body: Buffer | undefined, headers: object) {
  return ask(registry, { method, path, headers }, body);
}

function get({ path, ...registry }: Asked & { path: string }) {
  return ask(registry, { method: 'GET', path, headers: {} });
}

function ask(
  { port, authority, credentials }: Asked,
  { method, path, headers }: { method: string; path: string; headers: object },
  body?: Buffer,
) {
  return new Promise<{ headers: NodeJS.Dict<string | string[]> }>((resolve, reject) => {
    const auth = credentials && `${credentials.username}:${credentials.password}`;
    const options = { host: '127.0.0.1', port, ca: authority.certificatePem, method, path, agent: false };
    const request = httpsRequest(
      { ...options, headers: { ...headers }, ...(auth && { auth }) },
      (response) => {
        response.resume();
        const { statusCode = 0 } = response;
        // A registry that asks who one is has started.
        if (statusCode < 300 || (statusCode === 401 && path === '/v2/'))
          resolve({ headers: response.headers });
        else reject(new Error(`${method} ${path}: the registry answered ${statusCode}`));
      },
    );
    request.on('error', reject).end(body);
  });
}
