/** The plans of containerd on real files, through the real applier. */
import * as fs from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import fc from 'fast-check';
import { readHostPath } from '../../../../src/node/apply.ts';
import { parseCaBundle } from '../../../../src/node/ca-bundle.ts';
import type { FileCalls } from '../../../../src/node/files.ts';
import { restoreMirrors } from '../../../../src/node/pass.ts';
import { type Wiring, wireContainerd } from '../../../support/wired-node.ts';
import { certificateOne, certificateTwo } from '../certificates.ts';
import { type Fault, faultyFiles, makeSandbox, type Sandbox } from '../sandbox.ts';

const list = 'etc/containerd/certs.d:/etc/docker/certs.d';
const file = 'etc/containerd/certs.d/docker.io/hosts.toml';

const wiring: Wiring = {
  mirror: 'hub',
  names: [{ name: 'docker.io', upstream: true }],
  endpoint: 'http://127.0.0.1:30001',
  bundle: parseCaBundle(Buffer.from(certificateOne)),
  foreignFiles: 'refuse',
  found: true,
  release: '2.4.2',
};

function node(t: { teardown: (remove: () => void) => void }): Sandbox {
  const box = makeSandbox();
  t.teardown(box.remove);
  return box;
}

function wire(box: Sandbox, changes: Partial<Wiring> = {}, files: FileCalls = fs) {
  const state = join(box.root, box.options().stateFolder);
  return wireContainerd(box.root, state, { ...wiring, ...changes }, { files });
}

function restore(box: Sandbox, mirror: string, files: Parameters<Sandbox['pass']>[1] = fs) {
  return box.pass(box.options({ mirror, mode: 'restore', certificateNames: [] }), files);
}

/** What the host finds under the list's name: its links are absolute. */
function throughLink(box: Sandbox, path: string): string | undefined {
  const state = readHostPath({ files: fs, root: box.root }, `/${list}/${path}`);
  return state.kind === 'file' ? state.content.toString() : undefined;
}

test('a containerd 2 without a configuration finds the file under the whole list’s name too; the restore leaves nothing', async (t) => {
  const box = node(t);
  const before = box.tree();
  t.true(wire(box).results.every(({ error }) => error === undefined));
  t.is(throughLink(box, 'docker.io/hosts.toml'), box.get(file));
  t.is(fs.readlinkSync(join(box.root, list)), '/etc/containerd/certs.d');
  t.deepEqual(wire(box), { results: [], findings: [] });
  t.true((await restore(box, 'hub')).complete);
  t.deepEqual(box.tree(), before);
});

test('the link is the node’s: it stays until the last mirror’s file is gone', async (t) => {
  const box = node(t);
  const before = box.tree();
  wire(box);
  wire(box, { mirror: 'two', names: [{ name: 'ghcr.io', upstream: true }] });
  await restore(box, 'hub');
  t.not(throughLink(box, 'ghcr.io/hosts.toml'), undefined);
  await restore(box, 'two');
  t.deepEqual(box.tree(), before);
});

test('a link that somebody else put in place of ours is not removed', async (t) => {
  const box = node(t);
  wire(box);
  fs.unlinkSync(join(box.root, list));
  fs.symlinkSync('/etc/other', join(box.root, list));
  await restore(box, 'hub');
  t.is(fs.readlinkSync(join(box.root, list)), '/etc/other');
});

test('restore of every mirror needs nothing but the journal', async (t) => {
  const box = node(t);
  const before = box.tree();
  wire(box);
  await restoreMirrors(box.options(), { files: fs, lock: async () => async () => undefined }, () => true);
  t.deepEqual(box.tree(), before);
});

const mirrors = ['hub', 'two'];
const names = ['docker.io', 'r:5000', '[fd00::1]:5000'];

/** What lies on a node before us. */
const trees = fc.record({
  config: fc.constantFrom(
    undefined,
    'version = 3\n',
    'version = [',
    'version = 2\n[plugins."io.containerd.grpc.v1.cri".registry]\nconfig_path = "/etc/containerd/certs.d"\n',
    'version = 3\n[plugins."io.containerd.cri.v1.images".registry]\nconfig_path = "/a:/etc/docker/certs.d"\n',
  ),
  files: fc.dictionary(
    fc.constantFrom(
      'etc/containerd/certs.d/_default/hosts.toml',
      'etc/containerd/certs.d/docker.io/hosts.toml',
      'etc/containerd/certs.d/r_5000_/ca.crt',
      'etc/containerd/certs.d/r:5000/note',
      'etc/docker/certs.d/r:5000/ca.crt',
      'a/r:5000/upstream.crt',
      `${list}/note`,
    ),
    fc.constantFrom(certificateTwo, '[host."https://other"]\n', ''),
    { maxKeys: 4 },
  ),
  mode: fc.constantFrom(0o644, 0o600),
});

const steps = fc.record({
  mirror: fc.constantFrom(...mirrors),
  mode: fc.constantFrom('wire' as const, 'wire' as const, 'restore' as const),
  names: fc.subarray(names),
  endpoint: fc.constantFrom('http://127.0.0.1:30001', 'http://127.0.0.1:30002', 'https://10.96.0.10'),
  certificate: fc.constantFrom(certificateOne, certificateTwo, ''),
  foreignFiles: fc.constantFrom('refuse' as const, 'takeover' as const),
  fault: fc.constantFrom<Fault>('kill-before', 'kill-within', 'kill-after', 'fail'),
  at: fc.oneof(fc.constant(0), fc.nat(250)),
});

type Step = typeof steps extends fc.Arbitrary<infer T> ? T : never;

test('after any sequence of wirings, changes, crashes and restores a restore gives the tree from before', async (t) => {
  await fc.assert(
    fc.asyncProperty(trees, fc.array(steps, { maxLength: 6 }), async (tree, sequence) => {
      const box = makeSandbox();
      try {
        if (tree.config !== undefined) box.put('etc/containerd/config.toml', tree.config);
        for (const [path, content] of Object.entries(tree.files)) box.put(path, content, tree.mode);
        const before = box.tree();
        for (const step of sequence) await take(box, step);
        for (const mirror of mirrors) t.true((await restore(box, mirror)).complete);
        t.deepEqual(box.tree(), before);
      } finally {
        box.remove();
      }
    }),
    { numRuns: 150 },
  );
});

test('whatever call a wiring is killed at, the next one completes it and no pull meets a file without its certificate', async (t) => {
  const secure = { endpoint: 'https://10.96.0.10', foreignFiles: 'takeover' as const };
  for (let at = 1, killed = true; killed; at += 1) {
    const box = node(t);
    box.put('etc/containerd/certs.d/docker.io/hosts.toml', '[host."https://other"]\n');
    const before = box.tree();
    const files = faultyFiles('kill-after', at, { seen: () => t.true(isTrusted(box)) });
    try {
      wire(box, secure, files);
      killed = files.calls >= at;
    } catch {
      killed = true;
    }
    wire(box, secure);
    t.deepEqual(wire(box, secure).results, []);
    t.regex(throughLink(box, 'docker.io/hosts.toml') ?? '', /ca = "ca.crt"/);
    await restore(box, 'hub');
    t.deepEqual(box.tree(), before);
  }
});

/** A `hosts.toml` that names a CA has it beside it. */
function isTrusted(box: Sandbox): boolean {
  const folder = join(box.root, 'etc/containerd/certs.d/docker.io');
  const content = fs.readFileSync(join(folder, 'hosts.toml'), 'utf8');
  return !content.includes('ca.crt') || fs.existsSync(join(folder, 'ca.crt'));
}

async function take(box: Sandbox, step: Step): Promise<void> {
  const files = faultyFiles(step.fault, step.at);
  const { mirror, endpoint, foreignFiles } = step;
  if (step.mode === 'restore') {
    await restore(box, mirror, files).catch(() => undefined);
    return;
  }
  const bundle = parseCaBundle(Buffer.from(step.certificate));
  const wanted = step.names.map((name) => ({ name, upstream: true }));
  // A pass begins with what a crash left.
  await restoreMirrors(box.options(), { files: fs, lock: async () => async () => undefined }, () => false);
  try {
    wire(box, { mirror, endpoint, foreignFiles, bundle, names: wanted }, files);
  } catch {
    // Killed.
  }
}
