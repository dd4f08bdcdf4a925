/** A node's containerd, wired and unwired by the real applier: containerd 1.6 (in `ctr`) and 2.4 (its transfer service) read what is written. */
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { parseCaBundle } from '../../src/node/ca-bundle.ts';
import type { ContainerdInput } from '../../src/node/containerd/input.ts';
import { planHostFolders } from '../../src/node/containerd/target.ts';
import { makeAuthority, makeLeaf, type TestAuthority } from '../support/certificates.ts';
import { startConnectProxy } from '../support/connect-proxy.ts';
import { type Containerd, type ContainerdRelease, releases, startContainerd } from '../support/containerd.ts';
import { type ImageMirror, startImageMirror } from '../support/image-mirror.ts';
import { makeImage } from '../support/images.ts';
import { type Wired, type WireOptions, type Wiring, wireContainerd } from '../support/wired-node.ts';

const image = makeImage({ tag: '1', seed: 'wiring', layerSizes: [100_000, 500] });
/** What a pull asks for: HEAD and GET of the manifest, the configuration, two layers. */
const whole = 5;

const containerds = new Map<ContainerdRelease, Containerd>();
let authority: TestAuthority;
let upstream: ImageMirror;
/** Another upstream, in the clear. */
let plain: ImageMirror;
const ends: (() => unknown)[] = [];
test.before(async (t) => {
  // The first time containerd 2 is built.
  t.timeout(600_000);
  const teardown = (end: () => unknown) => void ends.unshift(end);
  const dir = fs.mkdtempSync(join(tmpdir(), 'containerd-wiring-'));
  teardown(() => fs.rmSync(dir, { recursive: true, force: true }));
  authority = await makeAuthority(dir);
  const leaf = await makeLeaf(authority, ['registry-1.docker.io', 'r.example']);
  upstream = await startImageMirror({ teardown }, image, leaf);
  plain = await startImageMirror({ teardown }, image);
  // What is asked of a proxy in the clear, whatever its name is, is asked of it.
  process.env['HTTP_PROXY'] = plain.url;
  // The upstream's names lead to it through a proxy; Go asks none for loopback.
  process.env['HTTPS_PROXY'] = await startConnectProxy({ teardown }, Number(new URL(upstream.url).port));
  for (const release of releases) containerds.set(release, await startContainerd({ teardown }, { release }));
});
test.after.always(async () => {
  for (const end of ends) await end();
});

/** How often a pull asked each. */
interface Asked {
  readonly mirror: number;
  readonly upstream: number;
}

interface Node {
  readonly root: string;
  readonly put: (path: string, content: string) => void;
  readonly tree: () => Record<string, string>;
  readonly wire: (changes?: Partial<Wiring>, options?: WireOptions & { root?: string }) => Wired;
  /** Pulls an image of `docker.io`, or of another name, by what lies in `/certs.d`. */
  readonly pull: (name?: string) => Promise<Asked>;
}

/** A host whose containerd has `/certs.d` for its config_path and trusts the upstream by a file there. */
function makeNode(t: ExecutionContext, release: ContainerdRelease, mirror: ImageMirror): Node {
  const base = fs.mkdtempSync(join(tmpdir(), 'wired-node-'));
  t.teardown(() => fs.rmSync(base, { recursive: true, force: true }));
  const root = join(base, 'host');
  const put = (path: string, content: string) => {
    fs.mkdirSync(join(root, path, '..'), { recursive: true });
    fs.writeFileSync(join(root, path), content);
  };
  put('etc/containerd/config.toml', '[plugins.cri.registry]\nconfig_path = "/certs.d"\n');
  put('certs.d/docker.io/user.crt', authority.certificatePem);
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
    root,
    put,
    tree: () => treeOf(root),
    wire: (changes, { root: at = root, ...options } = {}) =>
      wireContainerd(at, join(base, 'state'), { ...wiring, ...changes }, options),
    pull: (name = 'docker.io') => pull(release, join(root, 'certs.d'), name, mirror),
  };
}

/** In a namespace of its own, so that nothing is there yet. */
async function pull(
  release: ContainerdRelease,
  hostsDir: string,
  name: string,
  mirror: ImageMirror,
): Promise<Asked> {
  const before = { mirror: mirror.asked.length, upstream: upstream.asked.length };
  const namespace = `n${Math.random().toString(36).slice(2)}`;
  const options = ['--snapshotter', 'native', '--hosts-dir', hostsDir];
  await containerds.get(release)!.ctr(namespace, 'images', 'pull', ...options, `${name}/library/app:1`);
  return {
    mirror: mirror.asked.length - before.mirror,
    upstream: upstream.asked.length - before.upstream,
  };
}

function treeOf(root: string): Record<string, string> {
  const names = fs.readdirSync(root, { recursive: true, encoding: 'utf8' }).sort();
  const read = (path: string) => (fs.lstatSync(path).isFile() ? fs.readFileSync(path, 'latin1') : 'no file');
  return Object.fromEntries(names.map((name) => [name, read(join(root, name))]));
}

for (const release of releases) {
  test.serial(
    `a pull goes to the mirror, to the upstream when the mirror is gone, after the removal to the upstream alone (${release})`,
    async (t) => {
      const mirror = await startImageMirror(t, image);
      const node = makeNode(t, release, mirror);
      const before = node.tree();
      t.deepEqual(await node.pull(), { mirror: 0, upstream: whole });

      t.true(node.wire().results.every(({ error }) => error === undefined));
      t.deepEqual(await node.pull(), { mirror: whole, upstream: 0 });
      t.true(mirror.asked.every((url) => url.endsWith('?ns=docker.io')));

      // The upstream is trusted by the user's file alone.
      await mirror.stop();
      t.deepEqual(await node.pull(), { mirror: 0, upstream: whole });

      node.wire({ names: [] });
      t.deepEqual(node.tree(), before);
      t.deepEqual(await node.pull(), { mirror: 0, upstream: whole });
    },
  );

  test.serial(`a mirror behind TLS is trusted by the CA beside the file (${release})`, async (t) => {
    const dir = fs.mkdtempSync(join(tmpdir(), 'mirror-tls-'));
    t.teardown(() => fs.rmSync(dir, { recursive: true, force: true }));
    const own = await makeAuthority(dir, 'mirror authority');
    const mirror = await startImageMirror(t, image, await makeLeaf(own, ['127.0.0.1']));
    const node = makeNode(t, release, mirror);
    const before = node.tree();
    node.wire({ bundle: parseCaBundle(Buffer.from(own.certificatePem))! });
    t.deepEqual(await node.pull(), { mirror: whole, upstream: 0 });
    await mirror.stop();
    t.deepEqual(await node.pull(), { mirror: 0, upstream: whole });
    node.wire({ names: [] });
    t.deepEqual(node.tree(), before);
  });

  test.serial(
    `a name with a port: ours is the folder that containerd takes, with underscores or without (${release})`,
    async (t) => {
      const mirror = await startImageMirror(t, image);
      for (const folders of [
        [],
        ['r.example:5000'],
        ['r.example_5000_'],
        ['r.example:5000', 'r.example_5000_'],
      ]) {
        const node = makeNode(t, release, mirror);
        for (const folder of folders) node.put(`certs.d/${folder}/user.crt`, authority.certificatePem);
        node.wire({ names: [{ name: 'r.example:5000', upstream: true }] });
        t.deepEqual(await node.pull('r.example:5000'), { mirror: whole, upstream: 0 });
      }
    },
  );

  test.serial(`an upstream that speaks plain HTTP is behind the mirror as well (${release})`, async (t) => {
    const mirror = await startImageMirror(t, image);
    const node = makeNode(t, release, mirror);
    node.wire({ names: [{ name: 'r.example:5000', upstream: true, scheme: 'http' }] });
    t.deepEqual(await node.pull('r.example:5000'), { mirror: whole, upstream: 0 });
    await mirror.stop();
    const before = plain.asked.length;
    t.deepEqual(await node.pull('r.example:5000'), { mirror: 0, upstream: 0 });
    t.is(plain.asked.length - before, whole);
  });

  test.serial(`our folder hides hosts of _default, which is said (${release})`, async (t) => {
    const [mirror, other] = [await startImageMirror(t, image), await startImageMirror(t, image)];
    const node = makeNode(t, release, mirror);
    fs.rmSync(join(node.root, 'certs.d/docker.io'), { recursive: true });
    node.put('certs.d/_default/hosts.toml', `[host."${other.url}"]\n  capabilities = ["pull", "resolve"]\n`);
    await node.pull();
    t.is(other.asked.length, whole);
    t.like(node.wire().findings, [{ reason: 'ShadowedHosts', blocks: false }]);
    t.deepEqual(await node.pull(), { mirror: whole, upstream: 0 });
    t.is(other.asked.length, whole);
  });

  test.serial(`a list that is taken for one folder’s name leads to the mirror (${release})`, async (t) => {
    const mirror = await startImageMirror(t, image);
    const node = makeNode(t, release, mirror);
    const before = node.tree();
    const roots = [`${node.root}/certs.d`, `${node.root}/docker`] as const;
    const literal = roots.join(':');
    const planner = (input: ContainerdInput) => planHostFolders([{ roots, literal }], input);
    // The link is absolute: here the host's root is this machine's.
    node.wire({}, { planner, root: '/' });
    t.deepEqual(await pull(release, literal, 'docker.io', mirror), { mirror: whole, upstream: 0 });
    node.wire({ names: [] }, { planner, root: '/' });
    t.deepEqual(node.tree(), before);
    t.false(fs.existsSync(`${node.root}/certs.d:`));
  });
}
