/** skopeo and podman as clients: what they do with the drop-ins of a node. Each runs in a mount namespace where the node's /etc/containers is the system's. */
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test, { type ExecutionContext } from 'ava';
import { parseCaBundle } from '../../src/node/ca-bundle.ts';
import {
  type ContainersRegistriesInput,
  planContainersRegistries,
} from '../../src/node/containers-registries.ts';
import { makeAuthority, makeLeaf, type TestAuthority } from '../support/certificates.ts';
import { type ImageServer, startImageServer } from '../support/image-server.ts';
import { makeImage } from '../support/images.ts';
import { apply, openHost, recordedOf, viewOf } from '../unit/node/host.ts';

const run = promisify(execFile);
const image = makeImage({ tag: '1', seed: 'containers-registries', layerSizes: [100_000] });

type Puller = (reference: string) => Promise<void>;

interface World {
  readonly authority: TestAuthority;
  /** Plain HTTP. */
  readonly mirror: ImageServer;
  /** TLS, with the authority's certificate; clients trust it. */
  readonly upstream: ImageServer;
  /** Makes a pass of the real planner and applier over the node. */
  readonly wire: (changes: Partial<ContainersRegistriesInput>) => void;
  readonly pullers: Readonly<Record<'skopeo' | 'podman', Puller>>;
  readonly etc: string;
}

async function setUp(t: ExecutionContext): Promise<World> {
  const dir = mkdtempSync(join(tmpdir(), 'crio-'));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  const authority = await makeAuthority(join(dir, 'tls'), 'test authority');
  const upstream = await startImageServer(t, image, await serverTls(authority));
  const mirror = await startImageServer(t, image);
  const root = join(dir, 'host');
  const etc = join(root, 'etc/containers');
  mkdirSync(join(etc, 'certs.d', upstream.host), { recursive: true });
  writeFileSync(join(etc, 'policy.json'), '{"default":[{"type":"insecureAcceptAnything"}]}');
  writeFileSync(join(etc, 'registries.conf'), 'unqualified-search-registries = ["docker.io"]\n');
  writeFileSync(join(etc, 'certs.d', upstream.host, 'ca.crt'), authority.certificatePem);
  const host = openHost(root, () => ({ sent: [] }));
  return {
    authority,
    mirror,
    upstream,
    etc,
    wire: (changes) => {
      const view = viewOf(host);
      const { actions, findings } = planContainersRegistries({
        mirror: 'hub',
        names: [{ prefix: upstream.host, upstream: upstream.host }],
        endpoint: { kind: 'loopback', location: mirror.host },
        foreignFiles: 'refuse',
        signalsCrio: true,
        recorded: recordedOf(view, 'containers-registries'),
        ...view,
        ...changes,
      });
      t.deepEqual(findings, []);
      t.true(apply(host, actions).every(({ error }) => error === undefined));
    },
    pullers: { skopeo: skopeoPuller(dir, etc), podman: podmanPuller(dir, etc) },
  };
}

async function serverTls(authority: TestAuthority): Promise<{ cert: Buffer; key: Buffer }> {
  const { certFile, keyFile } = await makeLeaf(authority, ['127.0.0.1'], 'server');
  return { cert: readFileSync(certFile), key: readFileSync(keyFile) };
}

async function inNode(dir: string, etc: string, command: readonly string[]): Promise<void> {
  const script = 'mount --bind "$1" /etc/containers && mount -t tmpfs tmpfs /dev/shm && shift && exec "$@"';
  const args = ['--mount', 'setpriv', '--pdeathsig', 'KILL', '--', 'sh', '-c', script, 'sh', etc, ...command];
  await run('unshare', args, { env: { PATH: process.env['PATH'], HOME: dir }, timeout: 60_000 });
}

function skopeoPuller(dir: string, etc: string): Puller {
  return async (reference) => {
    const to = mkdtempSync(join(dir, 'skopeo-'));
    await inNode(dir, etc, ['skopeo', 'copy', `docker://${reference}`, `dir:${to}`]);
  };
}

/** With a storage of its own for each pull, so that every layer is asked for; podman wants its path short. */
function podmanPuller(dir: string, etc: string): Puller {
  return async (reference) => {
    const storage = mkdtempSync(join(dir, 'p-'));
    const folders = ['root', 'runroot', 'tmpdir'].flatMap((name) => [`--${name}`, join(storage, name)]);
    const options = [...folders, '--storage-driver', 'vfs', '--events-backend', 'none'];
    await inNode(dir, etc, ['podman', ...options, 'pull', '--quiet', reference]);
  };
}

function repositories(asked: readonly string[]): string[] {
  const parts = asked.map((path) => /^\/v2\/(.+)\/(?:manifests|blobs)\//.exec(path)?.[1]);
  return [...new Set(parts.filter((each) => each !== undefined))];
}

for (const client of ['skopeo', 'podman'] as const) {
  test(`${client} asks the mirror; with the mirror gone, and after the removal, the upstream`, async (t) => {
    const { mirror, upstream, wire, pullers, etc } = await setUp(t);
    const pull = () => pullers[client](`${upstream.host}/library/app:1`);
    const asked = () => ({ mirror: repositories(mirror.asked()), upstream: repositories(upstream.asked()) });
    await pull();
    t.deepEqual(asked(), { mirror: [], upstream: ['library/app'] }, 'before');
    wire({});
    await pull();
    t.deepEqual(asked(), { mirror: ['library/app'], upstream: [] }, 'wired');
    await mirror.stop();
    await pull();
    t.deepEqual(asked(), { mirror: [], upstream: ['library/app'] }, 'the mirror gone');
    wire({ names: [] });
    t.deepEqual(readdirSync(etc).sort(), ['certs.d', 'policy.json', 'registries.conf']);
    await pull();
    t.deepEqual(asked(), { mirror: [], upstream: ['library/app'] }, 'removed');
  });

  test(`${client} falls back on an upstream that speaks plain HTTP`, async (t) => {
    const { mirror, wire, pullers } = await setUp(t);
    const plain = await startImageServer(t, image);
    wire({ names: [{ prefix: plain.host, upstream: plain.host, insecure: true }] });
    await mirror.stop();
    await pullers[client](`${plain.host}/library/app:1`);
    t.deepEqual(repositories(plain.asked()), ['library/app']);
  });

  test(`${client} asks a removed wiring's mirror no more`, async (t) => {
    const { mirror, upstream, wire, pullers } = await setUp(t);
    wire({});
    wire({ names: [] });
    await pullers[client](`${upstream.host}/library/app:1`);
    t.deepEqual(mirror.asked(), []);
  });

  test(`${client} finds Docker Hub, its short names and an alias at the mirror, by a path where it serves several`, async (t) => {
    const { mirror, wire, pullers } = await setUp(t);
    wire({
      names: [{ prefix: 'docker.io', upstream: 'docker.io' }, { prefix: 'mirror-hub.example:5000' }],
      endpoint: { kind: 'loopback', location: `${mirror.host}/mirror-docker.io` },
    });
    for (const reference of ['docker.io/app:1', 'mirror-hub.example:5000/library/app:1']) {
      await pullers[client](reference);
      t.deepEqual(repositories(mirror.asked()), ['mirror-docker.io/library/app'], reference);
    }
  });

  test(`${client} trusts a mirror at a Service address by the CA of the plan, and fails without it`, async (t) => {
    const { authority, wire, pullers, upstream, etc } = await setUp(t);
    const mirror = await startImageServer(t, image, await serverTls(authority));
    const bundle = parseCaBundle(Buffer.from(authority.certificatePem))!;
    wire({
      names: [{ prefix: 'alias.example' }],
      endpoint: { kind: 'service', location: mirror.host, bundle },
    });
    await pullers[client]('alias.example/library/app:1');
    t.deepEqual(repositories(mirror.asked()), ['library/app']);
    t.deepEqual(upstream.asked(), []);
    rmSync(join(etc, 'certs.d', mirror.host), { recursive: true });
    await t.throwsAsync(pullers[client]('alias.example/library/app:1'), { message: /certificate/ });
  });
}
