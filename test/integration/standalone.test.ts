/** The cache on one machine as a user runs it: the executable, docker-registry as upstream, skopeo and plain HTTPS as clients. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import {
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statfsSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import test, { type ExecutionContext } from 'ava';
import { parseCacheReport } from '../../src/cache/cache-report.ts';
import { freePort } from '../kubernetes/free-ports.ts';
import { makeAuthority, makeLeaf } from '../support/certificates.ts';
import { eventually } from '../support/eventually.ts';
import { digestOf, makeImage } from '../support/images.ts';
import { pushImage, startRegistry, type TestRegistry } from '../support/registry.ts';
import { mountSmallVolume } from '../support/small-volume.ts';
import { executable, type RunningStandalone, runStandalone } from '../support/standalone.ts';

const run = promisify(execFile);
const image = makeImage({ tag: '1', seed: 'standalone', layerSizes: [9_000_000, 500_000] });
const manifest = image.manifests[0]!;
const layer = image.blobs[1]!;

test.serial(
  'skopeo pulls an image through it, again with the registry stopped, and its bytes are the pushed ones',
  async (t) => {
    const { dir, registry } = await prepare(t);
    const { standalone, url } = await start(t, dir, yaml(registry), registry);
    t.deepEqual(standalone.lines, [`ready demo ${url} mirror.test`]);
    mkdirSync(join(dir, 'trust'));
    cpSync(join(dir, 'data/ca.crt'), join(dir, 'trust/ca.crt'));
    const pull = (into: string) => {
      const source = `docker://${url.replace('https://', '')}/library/app:1`;
      return run('skopeo', ['copy', '--src-cert-dir', join(dir, 'trust'), source, `dir:${join(dir, into)}`]);
    };
    await pull('cold');
    await registry.stop();
    await pull('stopped');
    for (const into of ['cold', 'stopped']) {
      for (const blob of image.blobs) {
        const file = readFileSync(join(dir, into, blob.digest.replace('sha256:', '')));
        t.is(digestOf(file), blob.digest);
      }
      t.deepEqual(readFileSync(join(dir, into, 'manifest.json')), manifest.content);
    }
  },
);

test.serial(
  'credentials of a Secret reach the upstream and are nobody else’s to read; a changed Secret is taken without a restart',
  async (t) => {
    const credentials = { username: 'puller', password: 'first-secret' };
    const { dir, registry } = await prepare(t, { credentials });
    const wrong = yaml(registry, { username: 'puller', password: 'wrong-secret' });
    const { standalone, url, file } = await start(t, dir, wrong, registry);
    const ask = (reference: string) => get(t, dir, `${url}/v2/library/app/manifests/${reference}`);
    t.is((await ask('1')).status, 401);
    const children = childrenOf(standalone);
    writeFileSync(file, yaml(registry, credentials));
    await eventually(async () => assert.equal((await ask('1')).status, 200));
    t.deepEqual(childrenOf(standalone), children);
    writeFileSync(file, yaml(registry, { username: 'pull:er', password: 'bad-secret' }));
    await eventually(() => assert.match(standalone.errors(), /mirrors\.yaml:\d+: spec\.credentialsSecret: /));
    t.is((await ask('1')).status, 200);
    for (const entry of readdirSync(join(dir, 'data'), { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue;
      const path = join(entry.parentPath, entry.name);
      if (!readFileSync(path).includes('-secret')) continue;
      t.regex(path, /\/credentials\//);
      t.is(statSync(path).mode & 0o777, 0o600);
    }
    t.false(standalone.errors().includes('-secret'));
  },
);

test.serial(
  'a changed file is taken on without dropping a download; a bad one is told with its line and changes nothing',
  async (t) => {
    const { dir, registry } = await prepare(t);
    const { standalone, url, file } = await start(t, dir, yaml(registry), registry);
    const download = get(t, dir, `${url}/v2/library/app/blobs/${layer.digest}`, { slow: true });
    const second = yaml(registry).replace('name: demo', 'name: second').replace('mirror.test', 'second.test');
    writeFileSync(file, `${yaml(registry)}---\n${second}`);
    await eventually(() => assert.equal(standalone.ready().length, 2, standalone.errors()));
    t.like(standalone.ready()[1], { name: 'second', url, masquerade: 'second.test' });
    t.is((await get(t, dir, `${url}/v2/second.test/library/app/manifests/1`)).status, 200);
    t.is((await get(t, dir, `${url}/v2/library/app/manifests/1`)).status, 404);
    t.is(digestOf((await download).body), layer.digest);
    writeFileSync(file, yaml(registry).replace('upstreamUrl:', 'upstreamUri:'));
    await eventually(() => assert.match(standalone.errors(), /mirrors\.yaml:\d+: spec\.upstreamUr[li]: /));
    t.is((await get(t, dir, `${url}/v2/second.test/library/app/manifests/1`)).status, 200);
    rmSync(file);
    await eventually(() => assert.match(standalone.errors(), /-f: expected a file/));
    t.is((await get(t, dir, `${url}/v2/second.test/library/app/manifests/1`)).status, 200);
  },
);

test.serial('it serves on when nobody reads its standard output any more', async (t) => {
  const { dir, registry } = await prepare(t);
  const { standalone, url, file } = await start(t, dir, yaml(registry), registry);
  standalone.process.stdout?.destroy();
  const second = yaml(registry).replace('name: demo', 'name: second').replace('mirror.test', 'second.test');
  writeFileSync(file, `${yaml(registry)}---\n${second}`);
  await eventually(() => assert.match(standalone.errors(), /Configuration changed/));
  t.is((await get(t, dir, `${url}/v2/second.test/library/app/manifests/1`)).status, 200);
  standalone.process.kill('SIGTERM');
  t.is(await standalone.ended, 0);
});

test.serial('a tag of one upstream is never served for another: neither fresh nor stale', async (t) => {
  const { dir, registry } = await prepare(t);
  const { url, file } = await start(t, dir, yaml(registry), registry);
  const tag = () => get(t, dir, `${url}/v2/library/app/manifests/1`);
  t.is((await tag()).status, 200);
  writeFileSync(file, yaml(registry).replace(registry.host, 'localhost:1'));
  const gone = async () => assert.ok((await tag()).status >= 502);
  await eventually(gone, { interval: 10 });
  await eventually(async () => assert.equal((await tag()).status, 502));
  writeFileSync(file, yaml(registry));
  await eventually(async () => assert.equal((await tag()).status, 200));
});

test.serial(
  'a change that the full disk did not take is taken once there is room, without another edit',
  async (t) => {
    const { dir, registry } = await prepare(t);
    const data = join(dir, 'data');
    mkdirSync(data);
    mountSmallVolume(t, data, 64);
    const { standalone, file } = await start(t, dir, yaml(registry), registry);
    const rest = join(data, 'rest');
    assert.throws(() => writeFileSync(rest, Buffer.alloc(64 * 2 ** 20)), /ENOSPC/);
    writeFileSync(file, yaml(registry).replace('mirror.test', 'renamed.test'));
    await eventually(() => assert.match(standalone.errors(), /ENOSPC.*Kept the configuration in force/));
    rmSync(rest);
    const names = () => standalone.ready().map(({ masquerade }) => masquerade);
    await eventually(() => assert.deepEqual(names(), ['mirror.test', 'renamed.test'], standalone.errors()));
    t.is(standalone.errors().match(/Kept the configuration in force/g)?.length, 1, 'told once');
  },
);

test.serial('a bad file is exit code 1 with every fault, and nothing was started', async (t) => {
  const dir = folder(t);
  const file = join(dir, 'mirrors.yaml');
  writeFileSync(
    file,
    'apiVersion: k8s.osp.tech/v1\nkind: RegistryMirror\nmetadata: {name: A_b}\nspec: {upstreamUrl: "a b", x: 1}\n',
  );
  const { ended, errors, lines } = runStandalone(t, ['-f', file, '--data', join(dir, 'data')]);
  t.is(await ended, 1);
  t.is(errors().trim().split('\n').length, 3);
  for (const fault of errors().trim().split('\n')) t.regex(fault, /mirrors\.yaml:[34]: \S+: /);
  t.deepEqual(lines, []);
  t.false(existsSync(join(dir, 'data')));
});

test.serial(
  'a data folder that is in use, a port that is taken and missing files are said and exit code 1',
  async (t) => {
    const { dir, registry } = await prepare(t);
    const { url, file } = await start(t, dir, yaml(registry), registry);
    const fails = async (args: string[], message: RegExp) => {
      const { ended, errors } = runStandalone(t, ['-f', file, '--data', join(dir, 'other'), ...args]);
      t.is(await ended, 1);
      t.regex(errors(), message);
    };
    await fails(['--data', join(dir, 'data')], /--data: .* which process \d+ uses/);
    await fails(['--port', new URL(url).port], /--port: .*EADDRINUSE/);
    await fails(['--upstream-ca', join(dir, 'gone')], /--upstream-ca: .*ENOENT/);
    await fails(['--tls-cert', file], /--tls-cert, --tls-key: expected both or none/);
    await fails(['-f', join(dir, 'gone')], /-f: .*ENOENT/);
  },
);

test.serial('nginx and broker are started again when they are killed, workers included', async (t) => {
  const { dir, registry } = await prepare(t);
  const { standalone, url } = await start(t, dir, yaml(registry), registry);
  const path = `${url}/v2/library/app/manifests/1`;
  t.is((await get(t, dir, path)).status, 200);
  for (const pid of childrenOf(standalone)) process.kill(pid, 'SIGKILL');
  await eventually(async () => {
    assert.equal(childrenOf(standalone).length, 2);
    assert.equal((await get(t, dir, path)).status, 200);
    assert.equal((await get(t, dir, `${url}/v2/library/app/tags/list`)).status, 200);
  });
});

test.serial(
  'SIGTERM ends it within 5 s with exit code 0, even while a slow client downloads, and leaves no process and no lock',
  async (t) => {
    const { dir, registry } = await prepare(t);
    const { standalone, url } = await start(t, dir, yaml(registry), registry);
    void get(t, dir, `${url}/v2/library/app/blobs/${layer.digest}`, { stall: true }).catch(() => undefined);
    await eventually(() => assert(cachedFiles(dir) > 0));
    const startedAt = Date.now();
    standalone.process.kill('SIGTERM');
    t.is(await standalone.ended, 0);
    t.true(Date.now() - startedAt < 5_000, `${Date.now() - startedAt} ms`);

    t.deepEqual(processesIn(dir), []);
    // What nginx wrote last is counted by the next one.
    t.deepEqual(readdirSync(join(dir, 'data/run')), ['requests.log']);
  },
);

test.serial('SIGTERM ends it within 5 s while a change waits for a broker that hangs', async (t) => {
  const { dir, registry } = await prepare(t);
  const { standalone, file } = await start(t, dir, yaml(registry), registry);
  const hanging = processes().filter(({ parent }) => childrenOf(standalone).includes(parent));
  const broker = hanging.find(({ command }) => command.includes('broker'));
  assert(broker !== undefined);
  t.teardown(() => killIfThere(broker.pid));
  process.kill(broker.pid, 'SIGSTOP');
  writeFileSync(file, yaml(registry).replace('mirror.test', 'renamed.test'));
  await eventually(() => assert(isAsked(join(dir, 'data/run/broker.sock')), standalone.errors()));
  standalone.process.kill('SIGTERM');
  t.is(await Promise.race([standalone.ended, delay(5_000, 'still there')]), 0);
});

test.serial(
  'killed with SIGKILL it leaves nothing that serves, and the next start takes its place',
  async (t) => {
    const { dir, registry } = await prepare(t);
    const port = ['--port', String(await freePort())];
    const first = await start(t, dir, yaml(registry), registry, port);
    await get(t, dir, `${first.url}/v2/library/app/manifests/1`);
    first.standalone.process.kill('SIGKILL');
    await first.standalone.ended;
    await eventually(() => assert.deepEqual(processesIn(dir), []));
    await registry.stop();
    const second = await start(t, dir, yaml(registry), registry, port);
    t.is(second.url, first.url);
    t.is((await get(t, dir, `${second.url}/v2/library/app/manifests/1`)).status, 200);
  },
);

test.serial('workers of an nginx that was killed together with it are ended by the next start', async (t) => {
  const { dir, registry } = await prepare(t);
  // The system names open files by their own paths, and the folder by another.
  mkdirSync(join(dir, 'disk'));
  symlinkSync(join(dir, 'disk'), join(dir, 'data'));
  const port = ['--port', String(await freePort())];
  const { url, standalone } = await start(t, dir, yaml(registry), registry, port);
  // Stopped first, since it starts another nginx for one that dies.
  standalone.process.kill('SIGSTOP');
  process.kill(Number(readFileSync(join(dir, 'data/run/nginx.pid'), 'utf8')), 'SIGKILL');
  standalone.process.kill('SIGKILL');
  // Not its end of output: the workers have that too.
  await once(standalone.process, 'exit');
  t.is((await get(t, dir, `${url}/health-check`)).status, 200, 'workers serve on without their master');
  const second = await start(t, dir, yaml(registry), registry, port);
  t.is(second.url, url);
  t.regex(second.standalone.errors(), /Ended nginx processes that an earlier run left/);
  t.is((await get(t, dir, `${url}/v2/library/app/manifests/1`)).status, 200);
});

test.serial('a mirror that asks for more than the disk holds is limited to a share of it', async (t) => {
  const { dir, registry } = await prepare(t);
  const claim = '  volumeClaimTemplate: {spec: {resources: {requests: {storage: 1Pi}}}}\n';
  const { standalone } = await start(t, dir, `${yaml(registry).trimEnd()}\n${claim}`, registry);
  const files = readdirSync(join(dir, 'data/conf')).map((name) => readFileSync(join(dir, 'data/conf', name)));
  const size = Number(/max_size=(\d+)m/.exec(files.join('\n'))?.[1]);
  const { blocks, bsize } = statfsSync(dir);
  t.true(size > 0 && size * 2 ** 20 <= blocks * bsize * 0.8, `${size} MiB`);
  t.regex(standalone.errors(), /Caches were limited to a share of the disk/);
});

test.serial(
  'the cache of a mirror that the file no longer has is kept until the next start, and then gone',
  async (t) => {
    const { dir, registry } = await prepare(t);
    const { standalone, url } = await start(t, dir, yaml(registry), registry);
    const blob = (from: string) => get(t, dir, `${from}/v2/library/app/blobs/${layer.digest}`);
    await blob(url);
    const renamed = yaml(registry).replace('name: demo', 'name: other');
    writeFileSync(join(dir, 'mirrors.yaml'), renamed);
    await eventually(() => assert.equal(standalone.ready().at(-1)?.name, 'other'));
    await blob(url);
    // A download of before the change may still go on.
    t.deepEqual(readdirSync(join(dir, 'data/cache')).sort(), ['demo', 'other']);
    standalone.process.kill('SIGTERM');
    await standalone.ended;
    const kept = cachedFiles(dir, 'other');
    t.true(kept > 0);
    const second = await start(t, dir, renamed, registry);
    t.deepEqual(readdirSync(join(dir, 'data/cache')), ['other']);
    t.is(cachedFiles(dir, 'other'), kept);
    t.regex(
      second.standalone.errors(),
      /"mirrors":\["demo"\].*Removed the caches of mirrors that the file does not have/,
    );
  },
);

test.serial(
  'a cache that another user made is said and exit code 1, instead of an answer of 500 to everything',
  async (t) => {
    const { dir, registry } = await prepare(t);
    const file = join(dir, 'mirrors.yaml');
    writeFileSync(file, yaml(registry));
    const cache = join(dir, 'data/cache/demo');
    mkdirSync(cache, { recursive: true, mode: 0o700 });
    chownSync(cache, 65_534, 65_534);
    writeFileSync(join(dir, 'data/made-caches'), 'demo\n');
    const args = ['standalone', '-f', file, '--data', join(dir, 'data'), '--port', '0'];
    // Root as other users are: what belongs to somebody else is not its to open.
    const plain = [
      '--bounding-set',
      '-dac_override,-dac_read_search',
      '--pdeathsig',
      'KILL',
      '--',
      executable,
    ];
    const failed = await t.throwsAsync<ExecFailure>(run('setpriv', [...plain, ...args], { timeout: 20_000 }));
    t.is(failed.code, 1, failed.stderr);
    t.is(failed.stdout, '');
    t.regex(failed.stderr, /^--data: expected caches of this user's own, got \S+\/cache\/demo \(EACCES/m);
  },
);

test.serial('a given certificate is served instead of one of our own authority', async (t) => {
  const { dir, registry } = await prepare(t);
  const authority = await makeAuthority(join(dir, 'given'));
  const leaf = await makeLeaf(authority, ['127.0.0.1', 'mirror.test']);
  const { url } = await start(t, dir, yaml(registry), registry, [
    '--tls-cert',
    leaf.certFile,
    '--tls-key',
    leaf.keyFile,
  ]);
  t.is((await get(t, dir, `${url}/v2/`, { ca: authority.certificatePem })).status, 200);
  t.false(existsSync(join(dir, 'data/ca.crt')));
});

test.serial('who listens on every address of IPv6 is reached by IPv4 too', async (t) => {
  const { dir, registry } = await prepare(t);
  const { url } = await start(t, dir, yaml(registry), registry, ['--listen', '::']);
  const { port } = new URL(url);
  for (const host of ['127.0.0.1', '[::1]'])
    t.is((await get(t, dir, `https://${host}:${port}/v2/`)).status, 200, host);
});

test.serial('with --metrics it tells how its mirrors fare', async (t) => {
  const { dir, registry } = await prepare(t);
  const address = `127.0.0.1:${await freePort()}`;
  const { url } = await start(t, dir, yaml(registry), registry, ['--metrics', address]);
  t.is((await get(t, dir, `${url}/v2/library/app/manifests/1`)).status, 200);
  await eventually(async () => {
    const metrics = await (await fetch(`http://${address}/metrics`)).text();
    assert.match(metrics, /^registry_mirror_upstream_state\{mirror="demo",reason="Ok"\} 1$/m);
  });
  const report = parseCacheReport(await (await fetch(`http://${address}/status`)).text());
  t.like(report.mirrors[0], { name: 'demo', upstream: { reason: 'Ok' } });
});

interface ExecFailure extends Error {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

function folder(t: ExecutionContext): string {
  const dir = mkdtempSync(join(tmpdir(), 'standalone-'));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

async function prepare(
  t: ExecutionContext,
  options: { credentials?: { username: string; password: string } } = {},
): Promise<{ dir: string; registry: TestRegistry }> {
  const dir = folder(t);
  const registry = await startRegistry(join(dir, 'registry'), options);
  t.teardown(() => registry.stop());
  await pushImage(registry, 'library/app', image);
  return { dir, registry };
}

async function start(
  t: ExecutionContext,
  dir: string,
  text: string,
  registry: TestRegistry,
  more: readonly string[] = [],
): Promise<{ standalone: RunningStandalone; url: string; file: string }> {
  const file = join(dir, 'mirrors.yaml');
  writeFileSync(file, text);
  const args = ['-f', file, '--data', join(dir, 'data'), '--upstream-ca', registry.authority.file, ...more];
  const standalone = runStandalone(t, args);
  const ready = await eventually(() => {
    const [first] = standalone.ready();
    assert(first !== undefined, standalone.errors());
    return first;
  });
  return { standalone, url: ready.url, file };
}

function yaml({ host }: TestRegistry, credentials?: { username: string; password: string }): string {
  const secret =
    credentials === undefined
      ? ''
      : `apiVersion: v1
kind: Secret
metadata: {name: pull}
stringData: ${JSON.stringify(credentials)}
---
`;
  return `${secret}apiVersion: k8s.osp.tech/v1
kind: RegistryMirror
metadata:
  name: demo
spec:
  upstreamUrl: ${host}
  masqueradeUrl: mirror.test
  ${credentials === undefined ? '' : 'credentialsSecret: pull'}
`;
}

/** `slow` takes a second for the whole, `stall` never reads on after the first bytes. */
function get(
  t: ExecutionContext,
  dir: string,
  url: string,
  options: { slow?: boolean; stall?: boolean; ca?: string } = {},
): Promise<{ status: number; body: Buffer }> {
  const ca = options.ca ?? readFileSync(join(dir, 'data/ca.crt'));
  return new Promise((resolve, reject) => {
    const asked = request(url, { ca, agent: false }, (response) => {
      const pieces: Buffer[] = [];
      response.on('data', (piece: Buffer) => {
        pieces.push(piece);
        if (options.stall) response.pause();
        if (!options.slow) return;
        response.pause();
        setTimeout(() => response.resume(), 5);
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body: Buffer.concat(pieces) }));
      response.on('error', reject);
      response.on('close', () => reject(new Error('The connection was closed')));
      if (options.stall) t.teardown(() => asked.destroy());
    });
    asked.on('error', reject).end();
  });
}

function cachedFiles(dir: string, mirror = ''): number {
  const names = readdirSync(join(dir, 'data/cache', mirror), { recursive: true });
  return names.filter((name) => /\/[0-9a-f]{32}$/.test(String(name))).length;
}

/** Its own children: nginx's master and the broker. */
function childrenOf({ process: { pid } }: RunningStandalone): number[] {
  return processes()
    .filter(({ parent }) => parent === pid)
    .map((found) => found.pid);
}

/** Every process that has to do with `dir`: by its command line, or by a parent that has. */
function processesIn(dir: string): string[] {
  const found = processes().filter(({ command }) => command.includes(join(dir, 'data')));
  const ours = new Set(found.map(({ pid }) => pid));
  const workers = processes().filter(({ parent }) => ours.has(parent));
  return [...found, ...workers].map(({ command }) => command);
}

/** Somebody has a connection to the unix socket: state 03 in `/proc/net/unix`. */
function isAsked(socket: string): boolean {
  const lines = readFileSync('/proc/net/unix', 'utf8').split('\n');
  return lines.some((line) => line.endsWith(` ${socket}`) && line.split(/ +/)[5] === '03');
}

function killIfThere(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

function processes(): { pid: number; parent: number; command: string }[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        const stat = readFileSync(`/proc/${name}/stat`, 'utf8');
        const [state, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
        if (state === 'Z') return [];
        const command = readFileSync(`/proc/${name}/cmdline`, 'utf8').replaceAll('\0', ' ');
        return [{ pid: Number(name), parent: Number(parent), command }];
      } catch {
        return [];
      }
    });
}
