/** What a kubelet's pull asks, over the CRI of a containerd with the paths and the configuration of a node. */
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { ContainerdInput } from '../../src/node/containerd/input.ts';
import { planContainerd } from '../../src/node/containerd/target.ts';
import { makeAuthority, makeLeaf, type TestAuthority } from '../support/certificates.ts';
import { startConnectProxy } from '../support/connect-proxy.ts';
import { type ContainerdRelease, criConfig, releases, startContainerd } from '../support/containerd.ts';
import { pullByCri } from '../support/cri-client.ts';
import { type ImageMirror, startImageMirror } from '../support/image-mirror.ts';
import { makeImage } from '../support/images.ts';
import { type Wired, type WireOptions, type Wiring, wireContainerd } from '../support/wired-node.ts';

const image = makeImage({ tag: '1', seed: 'cri', layerSizes: [100_000, 500] });
/** What a pull asks for: HEAD and GET of the manifest, the configuration, two layers. */
const whole = 5;
const configPath = {
  '1.6': '[plugins."io.containerd.grpc.v1.cri".registry]\n  config_path = "/etc/containerd/certs.d"\n',
  '2.4': '[plugins."io.containerd.cri.v1.images".registry]\n  config_path = "/etc/containerd/certs.d"\n',
};

let authority: TestAuthority;
let leaf: Awaited<ReturnType<typeof makeLeaf>>;
const ends: (() => unknown)[] = [];
test.before(async (t) => {
  // The first time containerd 2 is built.
  t.timeout(600_000);
  const teardown = (end: () => unknown) => void ends.unshift(end);
  const dir = fs.mkdtempSync(join(tmpdir(), 'containerd-cri-'));
  teardown(() => fs.rmSync(dir, { recursive: true, force: true }));
  authority = await makeAuthority(dir);
  leaf = await makeLeaf(authority, ['registry-1.docker.io']);
});
test.after.always(async () => {
  for (const end of ends) await end();
});

interface Node {
  readonly put: (path: string, content: string) => void;
  readonly has: (path: string) => boolean;
  /** The names below /etc. */
  readonly tree: () => string[];
  readonly wire: (changes?: Partial<Wiring>, options?: WireOptions) => Wired;
  /** Pulls an image that is not there; returns how often each of `asked` was, then the upstream. */
  readonly pull: (...asked: ImageMirror[]) => Promise<number[]>;
}

async function startNode(
  t: ExecutionContext,
  release: ContainerdRelease,
  registry: string,
  mirror: ImageMirror,
): Promise<Node> {
  const base = fs.mkdtempSync(join(tmpdir(), 'cri-node-'));
  t.teardown(() => fs.rmSync(base, { recursive: true, force: true }));
  const root = join(base, 'host');
  const put = (path: string, content: string) => {
    fs.mkdirSync(join(root, path, '..'), { recursive: true });
    fs.writeFileSync(join(root, path), content);
  };
  put('etc/containerd/config.toml', `${criConfig(release)}${registry}`);
  const upstream = await startImageMirror(t, image, leaf);
  const proxy = await startConnectProxy(t, Number(new URL(upstream.url).port));
  const env = { HTTPS_PROXY: proxy, SSL_CERT_FILE: authority.file };
  const { ctr, socket } = await startContainerd(t, { release, root, env });
  const wiring: Wiring = {
    mirror: 'hub',
    names: [{ name: 'docker.io', upstream: true }],
    endpoint: mirror.url,
    bundle: undefined,
    foreignFiles: 'refuse',
    found: true,
    release: `${release}.0`,
  };
  return {
    put,
    has: (path) => fs.existsSync(join(root, path)),
    tree: () => fs.readdirSync(join(root, 'etc'), { recursive: true, encoding: 'utf8' }).sort(),
    wire: (changes, options) => wireContainerd(root, join(base, 'state'), { ...wiring, ...changes }, options),
    async pull(...asked) {
      const images = (await ctr('k8s.io', 'images', 'ls', '--quiet')).split('\n').filter(Boolean);
      // Waits until their content is gone too.
      if (images.length > 0) await ctr('k8s.io', 'images', 'rm', '--sync', ...images);
      const all = [...asked, upstream];
      const before = all.map((each) => each.asked.length);
      await pullByCri(socket, 'docker.io/library/app:1');
      return all.map((each, at) => each.asked.length - before[at]!);
    },
  };
}

for (const release of releases) {
  test(`a single config_path: mirror, upstream when the mirror is gone, upstream alone in the end (${release})`, async (t) => {
    const mirror = await startImageMirror(t, image);
    const node = await startNode(t, release, configPath[release], mirror);
    const before = node.tree();
    t.deepEqual(await node.pull(mirror), [0, whole]);
    t.deepEqual(node.wire().findings, []);
    t.deepEqual(await node.pull(mirror), [whole, 0]);
    t.true(mirror.asked.every((url) => url.endsWith('?ns=docker.io')));
    await mirror.stop();
    t.deepEqual(await node.pull(mirror), [0, whole]);
    node.wire({ names: [] });
    t.deepEqual(node.tree(), before);
    t.deepEqual(await node.pull(mirror), [0, whole]);
  });

  test(`our folder hides hosts of _default, which is said (${release})`, async (t) => {
    const [mirror, other] = [await startImageMirror(t, image), await startImageMirror(t, image)];
    const node = await startNode(t, release, configPath[release], mirror);
    const hosts = `[host."${other.url}"]\n  capabilities = ["pull", "resolve"]\n`;
    node.put('etc/containerd/certs.d/_default/hosts.toml', hosts);
    t.deepEqual(await node.pull(mirror, other), [0, whole, 0]);
    t.like(node.wire().findings, [{ reason: 'ShadowedHosts', blocks: false }]);
    t.deepEqual(await node.pull(mirror, other), [whole, 0, 0]);
    await mirror.stop();
    t.deepEqual(await node.pull(mirror, other), [0, 0, whole]);
    node.wire({ names: [] });
    t.deepEqual(await node.pull(mirror, other), [0, whole, 0]);
  });
}

test('containerd 2 without a config_path looks for its list as for one folder, and finds our files by the link alone', async (t) => {
  const mirror = await startImageMirror(t, image);
  const node = await startNode(t, '2.4', '', mirror);
  const before = node.tree();
  const withoutLink = (input: ContainerdInput) => {
    const plan = planContainerd(input);
    return { ...plan, actions: plan.actions.filter(({ do: kind }) => kind !== 'link') };
  };
  node.wire({}, { planner: withoutLink });
  t.true(node.has('etc/containerd/certs.d/docker.io/hosts.toml'));
  t.deepEqual(await node.pull(mirror), [0, whole]);
  t.deepEqual(node.wire().findings, []);
  t.deepEqual(await node.pull(mirror), [whole, 0]);
  node.wire({ names: [] });
  t.deepEqual(node.tree(), before);
  t.deepEqual(await node.pull(mirror), [0, whole]);
});

for (const [what, lines] of [
  ['discard_unpacked_layers', '  discard_unpacked_layers = true\n'],
  [
    'registry.configs',
    '[plugins."io.containerd.cri.v1.images".registry.configs."r.example".auth]\n  username = "u"\n',
  ],
] as const) {
  test(`where containerd 2 pulls by itself, because of ${what}, it searches the list`, async (t) => {
    const mirror = await startImageMirror(t, image);
    const node = await startNode(t, '2.4', lines, mirror);
    node.put('etc/docker/certs.d/docker.io/hosts.toml', `[host."http://127.0.0.1:9"]\n`);
    t.deepEqual(await node.pull(mirror), [0, whole]);
    t.like(node.wire({ foreignFiles: 'takeover' }).findings, [{ reason: 'ShadowedHosts', blocks: false }]);
    t.deepEqual(await node.pull(mirror), [whole, 0]);
  });
}
