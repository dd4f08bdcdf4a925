/** containerd as a client, 1.6 and 2.4: the hosts.toml of a node where `endpoint: service` is wired, with the upstream behind the mirror. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { freePort } from '../kubernetes/free-ports.ts';
import { cacheMirror } from '../support/cache-config.ts';
import { type Containerd, type ContainerdRelease, releases, startContainerd } from '../support/containerd.ts';
import { makeImage } from '../support/images.ts';
import { mirrorOf, startCache, type TestCache } from '../support/nginx.ts';
import { type Credentials, pushImage, startRegistry, type TestRegistry } from '../support/registry.ts';

const image = makeImage({ tag: '1', seed: 'containerd', layerSizes: [9_000_000, 500_000] });
const digests = [...image.manifests, ...image.blobs].map(({ digest }) => digest);

const containerds = new Map<ContainerdRelease, Containerd>();
const ends: (() => unknown)[] = [];
test.before(async (t) => {
  // The first time containerd 2 is built.
  t.timeout(600_000);
  const teardown = (end: () => unknown) => void ends.unshift(end);
  for (const release of releases) containerds.set(release, await startContainerd({ teardown }, { release }));
});
test.after.always(async () => {
  for (const end of ends) await end();
});

interface World {
  readonly registry: TestRegistry;
  readonly cache: TestCache;
  readonly reference: string;
  /** Pulls in a namespace that has nothing yet; resolves with the digests of what is in it afterwards. */
  pull(namespace: string, ...more: string[]): Promise<string[]>;
}

/** A registry, a cache of it and of another one, and a node's configuration; image `library/app:1` is pushed. */
async function setUp(
  t: ExecutionContext,
  release: ContainerdRelease,
  credentials?: Credentials,
): Promise<World> {
  const containerd = containerds.get(release)!;
  const dir = mkdtempSync(join(tmpdir(), 'containerd-client-'));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  const registry = await startRegistry(join(dir, 'upstream'), { ...(credentials && { credentials }) });
  t.teardown(registry.stop);
  await pushImage(registry, 'library/app', image);
  const fallback = { address: '127.0.0.1', port: await freePort() };
  // Of two mirrors only ?ns= tells which one is meant.
  const mirrors = [
    mirrorOf(registry, { caFiles: [registry.authority.file] }),
    cacheMirror('other', 'https://127.0.0.1:1'),
  ];
  const cache = await startCache(t, mirrors, { fallbackListen: [fallback] });
  const hostsDir = join(dir, 'certs.d');
  writeHosts(join(hostsDir, registry.host), registry, cache, fallback.port);
  const reference = `${registry.host}/library/app:1`;
  return {
    registry,
    cache,
    reference,
    async pull(namespace, ...more) {
      const args = ['images', 'pull', '--snapshotter', 'native', '--hosts-dir', hostsDir, ...more, reference];
      await containerd.ctr(namespace, ...args);
      return (await containerd.ctr(namespace, 'content', 'ls', '--quiet'))
        .split('\n')
        .filter((line) => line !== '');
    },
  };
}

/** contract/addressing.md section 2, `endpoint: service`; the upstream's own authority is there because it is a test's. */
function writeHosts(dir: string, registry: TestRegistry, cache: TestCache, port: number): void {
  mkdirSync(dir, { recursive: true });
  writeFileSync(join(dir, 'ca.crt'), cache.authority.certificatePem);
  writeFileSync(
    join(dir, 'hosts.toml'),
    `server = "https://${registry.host}"
ca = ${JSON.stringify(registry.authority.file)}

[host."https://127.0.0.1:${port}"]
  capabilities = ["pull", "resolve"]
  ca = "ca.crt"
`,
  );
}

/** What containerd itself asked of the upstream, path by path. */
function askedDirectly({ registry }: World): string[] {
  return readFileSync(registry.logFile, 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as Record<string, string>)
    .filter(
      (line) => line['http.request.useragent']?.startsWith('containerd/') && line['http.response.status'],
    )
    .map((line) => line['http.request.uri'] ?? '');
}

/** What containerd got from the mirror: `200 /v2/...`. */
function served({ cache }: World): string[] {
  return readFileSync(cache.config.accessLog, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as { status: number; uri: string; ns: string; userAgent: string })
    .filter(({ userAgent }) => userAgent.startsWith('containerd/'))
    .map(({ status, uri, ns }) => `${status} ${uri}?ns=${decodeURIComponent(ns)}`);
}

for (const release of releases) {
  test(`a pull comes through the mirror alone, addressed by ?ns=, and goes on working when the upstream is gone (${release})`, async (t) => {
    const world = await setUp(t, release);
    t.deepEqual((await world.pull('cold')).toSorted(), digests.toSorted());
    t.deepEqual(askedDirectly(world), []);
    const cold = served(world);
    for (const { digest } of image.blobs)
      t.true(cold.includes(`200 /v2/library/app/blobs/${digest}?ns=${world.registry.host}`));
    await world.registry.stop();
    t.deepEqual((await world.pull('stopped')).toSorted(), digests.toSorted());
    const warm = served(world).slice(cold.length);
    for (const { digest } of image.blobs)
      t.true(warm.includes(`200 /v2/library/app/blobs/${digest}?ns=${world.registry.host}`));
  });

  test(`what the mirror may not read is 404, and containerd goes to the upstream with its own credentials (${release})`, async (t) => {
    const credentials = { username: 'puller', password: 'of-the-pod' };
    const world = await setUp(t, release, credentials);
    const user = `${credentials.username}:${credentials.password}`;
    t.deepEqual((await world.pull('private', '--user', user)).toSorted(), digests.toSorted());
    t.true(served(world).length > 0);
    t.true(served(world).every((line) => line.startsWith('404 ')));
    t.true(askedDirectly(world).some((uri) => uri.includes('/blobs/')));
  });

  test(`a mirror that is gone costs no pull (${release})`, async (t) => {
    const world = await setUp(t, release);
    await world.cache.stop();
    t.deepEqual((await world.pull('gone')).toSorted(), digests.toSorted());
    t.true(askedDirectly(world).some((uri) => uri.includes('/blobs/')));
  });
}
