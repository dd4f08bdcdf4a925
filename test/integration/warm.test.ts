/** `warm` in front of a real nginx, broker and registry, and skopeo as the client that comes when the upstream is gone. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test, { type ExecutionContext } from 'ava';
import { dump } from 'js-yaml';
import { cachedEntries } from '../support/cached-entries.ts';
import { startCommand } from '../support/command.ts';
import { eventually } from '../support/eventually.ts';
import { digestOf, type Manifest, makeMultiArchImage, ownArchitecture } from '../support/images.ts';
import { mirrorOf, startCache } from '../support/nginx.ts';
import { pushImage, startRegistry, type TestRegistry } from '../support/registry.ts';
import { mountSmallVolume } from '../support/small-volume.ts';
import { runStandalone } from '../support/standalone.ts';

const run = promisify(execFile);
const foreign = ownArchitecture === 'amd64' ? 'arm64' : 'amd64';
const image = makeMultiArchImage({
  tag: 'v1',
  seed: 'warm',
  layerSizes: [20_000_000, 3_000_000, 1_000],
  architectures: [foreign, ownArchitecture],
  attested: true,
});
/** In the order of the index: each architecture's image and its attestation, then the index itself. */
const [foreignImage, , ownImage, , index] = image.manifests as [
  Manifest,
  Manifest,
  Manifest,
  Manifest,
  Manifest,
];

function blobsOf({ content }: Manifest): string[] {
  const { config, layers } = JSON.parse(content.toString()) as Record<'config', Named> & { layers: Named[] };
  return [config, ...layers].map(({ digest }) => digest);
}

interface Named {
  readonly digest: string;
}

async function pushed(t: ExecutionContext): Promise<{ dir: string; registry: TestRegistry }> {
  const dir = mkdtempSync(join(tmpdir(), 'warm-'));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  const registry = await startRegistry(join(dir, 'registry'));
  t.teardown(registry.stop);
  await pushImage(registry, 'team/app', image);
  return { dir, registry };
}

async function world(t: ExecutionContext) {
  const { dir, registry } = await pushed(t);
  const cache = await startCache(t, [mirrorOf(registry, { caFiles: [registry.authority.file] })]);
  const local = ['warm', 'm', '--local', '--config', join(cache.config.paths.confDir, 'broker.json')];
  return {
    dir,
    registry,
    cache,
    start: (...args: string[]) => startCommand(t, [...local, ...args]),
    warm: (...args: string[]) => startCommand(t, [...local, ...args]).ended,
    blobs: () => {
      const digests = cachedEntries(cache.config.mirrors[0]!.cacheDir).map(
        ({ key }) => /^m\|blob\|(sha256:[^|]*)/.exec(key)?.[1],
      );
      return [...new Set(digests.filter((digest) => digest !== undefined))].toSorted();
    },
  };
}

interface Pull {
  readonly dir: string;
  /** `127.0.0.1:PORT` and the authority of its certificate. */
  readonly host: string;
  readonly ca: string;
  readonly architecture: string;
}

/** Pulls by tag for a platform with skopeo and compares every byte. */
async function assertPulls(t: ExecutionContext, { dir, host, ca, architecture }: Pull): Promise<void> {
  const trust = join(dir, 'trust');
  mkdirSync(trust, { recursive: true });
  cpSync(ca, join(trust, 'ca.crt'));
  const into = join(dir, `pulled-${architecture}`);
  const from = `docker://${host}/mirror.test/team/app:v1`;
  await run('skopeo', [
    'copy',
    '--override-arch',
    architecture,
    '--src-cert-dir',
    trust,
    from,
    `dir:${into}`,
  ]);
  const wanted = architecture === ownArchitecture ? ownImage : foreignImage;
  t.deepEqual(readFileSync(join(into, 'manifest.json')), wanted.content);
  for (const digest of blobsOf(wanted)) {
    t.is(digestOf(readFileSync(join(into, digest.replace('sha256:', '')))), digest);
  }
}

test.serial(
  'a warmed image is pulled for its platform when the upstream is gone; other platforms were left alone',
  async (t) => {
    const { dir, registry, cache, warm, blobs } = await world(t);
    const { code, stdout, stderr } = await warm('mirror.test/team/app:v1');
    t.is(code, 0, stderr);
    const [start = '', end = ''] = stdout.split('\n');
    t.true(
      start.startsWith(`mirror.test/team/app:v1: ${index.digest} for linux/${ownArchitecture}, 4 blobs, `),
      start,
    );
    t.regex(end, /^mirror.test\/team\/app:v1: cached 2[0-9.]+ MiB in /);
    t.deepEqual(blobs(), blobsOf(ownImage).toSorted());
    await registry.stop();
    const { port, authority } = cache;
    await assertPulls(t, {
      dir,
      host: `127.0.0.1:${port}`,
      ca: authority.file,
      architecture: ownArchitecture,
    });
    // containerd begins with a HEAD of the tag and goes on by digest.
    for (const [method, reference] of [
      ['HEAD', 'v1'],
      ['GET', index.digest],
      ['GET', ownImage.digest],
    ] as const) {
      const accept =
        'application/vnd.oci.image.index.v1+json, application/vnd.docker.distribution.manifest.list.v2+json, */*';
      const answer = await cache.get(`/v2/mirror.test/team/app/manifests/${reference}`, {
        method,
        headers: { accept },
      });
      t.is(answer.status, 200, `${method} ${reference}`);
    }
    const again = await warm('team/app:v1');
    t.is(again.code, 0, 'what is cached is warm without an upstream');
  },
);

test.serial('--platform and --all-platforms choose; all include the attestations', async (t) => {
  const { dir, registry, cache, warm, blobs } = await world(t);
  t.is((await warm('team/app:v1', '--platform', `linux/${foreign}`)).code, 0);
  t.deepEqual(blobs(), blobsOf(foreignImage).toSorted());
  const missing = await warm('team/app:v1', '--platform', 'linux/s390x');
  t.is(missing.code, 1);
  t.regex(
    missing.stdout,
    new RegExp(`has no linux/s390x; it has linux/${foreign}, linux/${ownArchitecture}`),
  );
  t.is((await warm('team/app:v1', '--all-platforms')).code, 0);
  t.deepEqual(blobs(), image.blobs.map(({ digest }) => digest).toSorted());
  await registry.stop();
  const { port, authority } = cache;
  await assertPulls(t, { dir, host: `127.0.0.1:${port}`, ca: authority.file, architecture: foreign });
});

test.serial('a blob whose cached bytes are wrong is told, and its wrong bytes do not stay', async (t) => {
  const { cache, warm } = await world(t);
  t.is((await warm('team/app:v1')).code, 0);
  const [, layer = ''] = blobsOf(ownImage);
  spoil(cache.config.mirrors[0]!.cacheDir, `m|blob|${layer}|bytes=0-`);
  const { code, stdout } = await warm('team/app:v1');
  t.is(code, 1);
  t.regex(stdout, new RegExp(`failed: team/app: expected ${layer}`));
  const healed = await warm('team/app:v1');
  t.is(healed.code, 0, healed.stdout);
});

/** Changes one byte of the body of the cached file whose key begins so. */
function spoil(dir: string, key: string): void {
  const files = readdirSync(dir, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const paths = files.map((file) => join(file.parentPath, file.name));
  const found = paths.filter((path) => readFileSync(path).subarray(0, 4096).includes(`KEY: ${key}`));
  assert.equal(found.length, 1, key);
  const content = readFileSync(found[0]!);
  content[content.length - 1000]! ^= 1;
  writeFileSync(found[0]!, content);
}

test.serial('what a full volume does not keep is not called cached', async (t) => {
  const { registry } = await pushed(t);
  const options = {
    prepareData: (data: string) => {
      mountSmallVolume(t, data, 64);
      writeFileSync(join(data, 'of-others'), Buffer.alloc(50 * 2 ** 20));
    },
  };
  const mirror = mirrorOf(registry, { caFiles: [registry.authority.file] });
  const cache = await startCache(t, [mirror], {}, options);
  const config = join(cache.config.paths.confDir, 'broker.json');
  const warm = () => startCommand(t, ['warm', 'm', '--local', '--config', config, 'team/app:v1']).ended;
  const { code, stdout } = await warm();
  t.is(code, 1, stdout);
  t.regex(stdout, /^team\/app:v1: failed: \d of 4 blobs were read and are not kept/m);
  t.notRegex(stdout, /: cached/);
});

test.serial('inside a pod it ends when whoever started it is gone: standard input ends', async (t) => {
  const { cache, registry, start } = await world(t);
  // Nobody answers, and it is retried for half a minute.
  await registry.stop();
  await cache.stopBroker();
  const { child, ended } = start('--json', '--until-stdin-ends', 'team/app:v1');
  const lines: string[] = [];
  child.stdout.on('data', (data: Buffer) => lines.push(data.toString()));
  await eventually(() => assert.match(lines.join(''), /"event":"retried"/));
  child.stdin.end();
  const { code, stderr } = await ended;
  t.is(code, 1);
  t.regex(stderr, /standard input ended/);
});

test.serial('a standalone’s cache is warmed and purged by its folder', async (t) => {
  const { dir, registry } = await pushed(t);
  const file = join(dir, 'mirrors.yaml');
  const mirror = { upstreamUrl: `https://${registry.host}`, masqueradeUrl: 'mirror.test' };
  writeFileSync(
    file,
    dump({ apiVersion: 'k8s.osp.tech/v1', kind: 'RegistryMirror', metadata: { name: 'demo' }, spec: mirror }),
  );
  const data = join(dir, 'data');
  const standalone = runStandalone(t, ['-f', file, '--data', data, '--upstream-ca', registry.authority.file]);
  await eventually(() => assert.equal(standalone.ready().length, 1));
  const warm = await startCommand(t, ['warm', 'demo', 'team/app:v1', '--standalone', data]).ended;
  t.is(warm.code, 0, warm.stdout + warm.stderr);
  const host = standalone.ready()[0]!.url.replace('https://', '');
  await registry.stop();
  await assertPulls(t, { dir, host, ca: join(data, 'ca.crt'), architecture: ownArchitecture });
  const purge = await startCommand(t, ['purge', 'demo', 'team/app', '--standalone', data]).ended;
  t.is(purge.code, 0, purge.stderr);
  t.regex(purge.stdout, /^demo team\/app: removed [1-9][0-9]* files, /);
  t.deepEqual(
    cachedEntries(join(data, 'cache', 'demo')).filter(({ key }) => key.includes('team/app')),
    [],
  );
  const unknown = await startCommand(t, ['purge', 'other', 'team/app', '--standalone', data]).ended;
  t.is(unknown.code, 1);
  t.is(unknown.stderr, 'There is no RegistryMirror other; there are: demo\n');
});
