/** One nginx and one broker in front of many upstreams, each of which is made to fail in its own way. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { brokerSocket, type CacheConfig, type CacheMirror } from '../../src/cache/cache-config.ts';
import type { CacheReport } from '../../src/cache/cache-report.ts';
import { parseCacheReport } from '../../src/cache/cache-report.ts';
import { createAuthority, issueLeaf, type KeyPair } from '../../src/cache/tls/authority.ts';
import { ask } from './broker.ts';
import { type CachedEntry, cachedEntries } from './cached-entries.ts';
import { makeAuthority, type TestAuthority } from './certificates.ts';
import { randomBytes } from './images.ts';
import { type CacheMore, mirrorOf, type Received, startCache, type TestCache } from './nginx.ts';
import { type ScriptableProxy, startScriptableProxy } from './scriptable-proxy.ts';
import { type ScriptableUpstream, startScriptableUpstream } from './scriptable-upstream.ts';

/** An upstream, the mirror of it, and what is asked of them. */
export interface Scene {
  readonly upstream: ScriptableUpstream;
  /** The upstream by the name that the cache knows. */
  readonly origin: string;
  readonly proxy: ScriptableProxy;
  /** Never seen by the cache before the fault. */
  readonly coldBlob: Wanted;
  readonly coldManifest: Wanted;
  /** Pulled before the fault; the tag's time is over. */
  readonly warmTag: Wanted;
  readonly warmManifest: Wanted;
  readonly warmBlob: Wanted;
  /** Makes the upstream's name resolve no more. */
  unresolve(): void;
  /** Shows a certificate that is wrong in some way. */
  present(fault: CertificateFault): Promise<void>;
  /** A blob and a manifest that nobody has asked for yet. */
  fresh(label: string): readonly [Wanted, Wanted];
  get(wanted: Pick<Wanted, 'path'>, headers?: Record<string, string>): Promise<Received>;
  report(): Promise<CacheReport['mirrors'][number]>;
  entries(): CachedEntry[];
}

export interface Wanted {
  readonly path: string;
  readonly digest: string;
  readonly bytes: Buffer;
}

export type CertificateFault = 'unknown authority' | 'wrong name' | 'expired';

/** How one upstream is set up before anything is pulled. */
export interface SceneOptions {
  /** Has no underscore or dot: part of names. */
  readonly name: string;
  readonly scheme: 'http' | 'https';
  readonly blobSize: number;
  readonly throughProxy: boolean;
  /** Files of the mirror's Secret. */
  readonly credentials?: Readonly<Record<string, string>>;
  readonly mirror: Partial<CacheMirror>;
}

export interface FaultWorld {
  readonly cache: TestCache;
  scene(name: string): Scene;
  close(): Promise<void>;
}

const repository = 'library/app';
export const sliceSizeKiB = 64;
const timeouts = { connect: 5_000, headers: 5_000, bodyIdle: 5_000 };

/** Starts everything and pulls what is to be warm. */
export async function startFaultWorld(
  wanted: readonly SceneOptions[],
  changes: Partial<CacheConfig> = {},
  more: CacheMore = {},
): Promise<FaultWorld> {
  const ends: (() => unknown)[] = [];
  const t = { teardown: (end: () => unknown) => void ends.push(end) };
  const dir = mkdtempSync(join(tmpdir(), 'faults-'));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  const authority = await makeAuthority(dir);
  const unresolved = new Set<string>();
  const resolve = async (hostname: string) => {
    if (!unresolved.has(hostname)) return [{ address: addressOf(hostname), family: 4 }];
    throw Object.assign(new Error(`getaddrinfo ENOTFOUND ${hostname}`), { code: 'ENOTFOUND' });
  };
  const stages = await Promise.all(wanted.map((options) => makeStage(options, authority, t)));
  const cache = await startCache(
    t,
    stages.map(({ mirror }) => mirror),
    { sliceSizeKiB, ...changes },
    { network: { resolve }, ...more },
  );
  const scenes = new Map(
    stages.map((stage) => [stage.options.name, sceneOf(stage, { cache, authority, unresolved })]),
  );
  await Promise.all([...scenes.values()].map(warm));
  return {
    cache,
    scene: (name) => scenes.get(name)!,
    close: async () => {
      for (const end of ends.reverse()) await end();
    },
  };
}

/** Names of upstreams are on this machine; names of places that redirects must not lead to say which by themselves. */
function addressOf(hostname: string): string {
  return { 'private.test': '10.1.2.3', 'metadata.test': '169.254.169.254' }[hostname] ?? '127.0.0.1';
}

async function makeStage(
  options: SceneOptions,
  authority: TestAuthority,
  t: { teardown(end: () => unknown): void },
) {
  const { name, scheme } = options;
  const host = `${name}.test`;
  const leaf = await issueLeaf(authority, { names: [host, '127.0.0.1'], days: 10 });
  const upstream = await startScriptableUpstream(scheme === 'https' ? { tls: tlsOf(leaf) } : {});
  const proxy = await startScriptableProxy();
  t.teardown(() => upstream.close());
  t.teardown(() => proxy.close());
  proxy.resolve = { [host]: '127.0.0.1' };
  const mirror = mirrorOf(
    { scheme, host: upstream.host.replace('127.0.0.1', host) },
    {
      name,
      masquerade: `mirror-${host}`,
      names: [host],
      caFiles: [authority.file],
      tagTtlSeconds: 1,
      maxSizeMiB: 64,
      timeouts,
      ...(options.credentials && {
        access: 'shared' as const,
        credentials: [{ prefix: '', dir: writeCredentials(join(authority.dir, name), options.credentials) }],
      }),
      ...(options.throughProxy && { egressProxy: { url: proxy.url, noProxy: [] } }),
      ...options.mirror,
    },
  );
  return { options, upstream, proxy, mirror, host };
}

function writeCredentials(dir: string, credentials: Readonly<Record<string, string>>): string {
  mkdirSync(dir);
  for (const [file, text] of Object.entries(credentials)) writeFileSync(join(dir, file), text);
  return dir;
}

function sceneOf(
  { options, upstream, proxy, mirror, host }: Awaited<ReturnType<typeof makeStage>>,
  world: { cache: TestCache; authority: TestAuthority; unresolved: Set<string> },
): Scene {
  const { cache, authority, unresolved } = world;
  const blob = (label: string): Wanted => {
    const bytes = randomBytes(`${options.name} ${label}`, options.blobSize);
    const digest = upstream.addBlob(bytes);
    return { path: `/v2/${repository}/blobs/${digest}`, digest, bytes };
  };
  const manifest = (label: string, tag?: string): Wanted => {
    const content = { schemaVersion: 2, layers: [], annotations: { label: `${options.name} ${label}` } };
    const digest = upstream.addManifest(repository, tag, content);
    const bytes = Buffer.from(JSON.stringify(content));
    return { path: `/v2/${repository}/manifests/${tag ?? digest}`, digest, bytes };
  };
  return {
    upstream,
    origin: `${mirror.upstream.scheme}://${mirror.upstream.host}`,
    proxy,
    coldBlob: blob('cold'),
    coldManifest: manifest('cold'),
    warmTag: manifest('tagged', 'warm'),
    warmManifest: manifest('warm'),
    warmBlob: blob('warm'),
    unresolve: () => {
      unresolved.add(host);
      upstream.closeConnections();
    },
    present: async (fault) => upstream.setCertificate(tlsOf(await faultyLeaf(fault, host, authority))),
    fresh: (label) => [blob(label), manifest(label)],
    get: ({ path }, headers = {}) => cache.get(path, { headers: { ...headers, Host: host } }).catch(noAnswer),
    report: async () => {
      const { body } = await ask(brokerSocket(cache.config.paths), '/-/status');
      return parseCacheReport(body.toString()).mirrors.find(({ name }) => name === mirror.name)!;
    },
    entries: () => {
      const { cacheDir } = cache.config.mirrors.find(({ name }) => name === mirror.name)!;
      return cachedEntries(cacheDir);
    },
  };
}

/** The connection ended before there was an answer. */
function noAnswer(): Received {
  return { status: 0, headers: {}, body: Buffer.alloc(0), complete: false, firstByteMs: 0, totalMs: 0 };
}

async function warm(scene: Scene): Promise<void> {
  for (const wanted of [scene.warmTag, scene.warmManifest, scene.warmBlob]) {
    const { status, body } = await scene.get(wanted);
    if (status !== 200 || !body.equals(wanted.bytes)) {
      throw new Error(
        `${wanted.path} could not be pulled before the fault: ${status} ${body.subarray(0, 200)}`,
      );
    }
  }
}

async function faultyLeaf(fault: CertificateFault, host: string, authority: KeyPair): Promise<KeyPair> {
  const names = [fault === 'wrong name' ? 'another.test' : host];
  if (fault === 'expired') {
    return issueLeaf(authority, { names, days: 1, now: new Date(Date.now() - 7 * 86_400_000) });
  }
  const signer =
    fault === 'wrong name' ? authority : await createAuthority({ commonName: 'unknown', days: 10 });
  return issueLeaf(signer, { names, days: 10 });
}

function tlsOf({ certificatePem, keyPem }: KeyPair): { cert: string; key: string } {
  return { cert: certificatePem, key: keyPem };
}
