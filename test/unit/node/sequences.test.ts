import * as fs from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import fc from 'fast-check';
import { certificateOne, certificateTwo } from './certificates.ts';
import { type Fault, faultyFiles, makeSandbox, type Sandbox } from './sandbox.ts';

const mirrors = ['hub', 'two', 'three'];
const names = ['mirror-hub.example', 'two:5000', '10.96.0.10', '[fd00::1]'];

/** What lies on a node before us. */
const trees = fc.record({
  hosts: fc.option(
    fc.oneof(
      fc.uint8Array({ maxLength: 80 }).map((bytes) => Buffer.from(bytes)),
      fc
        .constantFrom('', '127.0.0.1\tlocalhost', '127.0.0.1 localhost\r\n', '::1 mirror-hub.example two\n\n')
        .map((text) => Buffer.from(text)),
    ),
  ),
  mode: fc.constantFrom(0o644, 0o600, 0o444, 0o664),
  owner: fc.constantFrom(process.getuid?.() ?? 0, ...(process.getuid?.() === 0 ? [1234] : [])),
  linked: fc.boolean(),
  backup: fc.constantFrom('none', 'file', 'folder', 'kept'),
  foreign: fc.subarray(names),
  folders: fc.constantFrom('', 'etc/docker', 'etc/docker/certs.d', 'etc/docker/certs.d/two:5000'),
});

const steps = fc.record({
  mirror: fc.constantFrom(...mirrors),
  mode: fc.constantFrom('wire' as const, 'wire' as const, 'restore' as const),
  names: fc.subarray(names),
  hosts: fc.subarray(['10.0.0.1', 'fd00::1']),
  certificate: fc.constantFrom(certificateOne, certificateTwo, certificateOne + certificateTwo),
  foreignHostsLines: fc.constantFrom('override' as const, 'respect' as const),
  fault: fc.constantFrom<Fault>('kill-before', 'kill-within', 'kill-after', 'fail'),
  at: fc.oneof(fc.constant(0), fc.nat(250)),
  inPlace: fc.boolean(),
});

type Tree = typeof trees extends fc.Arbitrary<infer T> ? T : never;
type Step = typeof steps extends fc.Arbitrary<infer T> ? T : never;

test('after any sequence of wirings, changes, crashes and restores of several mirrors a restore gives the tree from before', async (t) => {
  await fc.assert(
    fc.asyncProperty(trees, fc.array(steps, { maxLength: 6 }), async (tree, sequence) => {
      const box = makeSandbox();
      try {
        plant(box, tree);
        const before = box.tree();
        for (const step of sequence) await take(box, step);
        for (const mirror of mirrors) {
          t.true((await box.pass(box.options({ mirror, mode: 'restore', certificateNames: [] }))).complete);
        }
        t.deepEqual(box.tree(), before);
        t.deepEqual(stateLeft(box), []);
      } finally {
        box.remove();
      }
    }),
    { numRuns: 150 },
  );
});

function plant(box: Sandbox, tree: Tree): void {
  if (tree.folders !== '') fs.mkdirSync(join(box.root, tree.folders), { recursive: true });
  for (const name of tree.foreign) box.put(`etc/docker/certs.d/${name}/ca.crt`, 'foreign', 0o640);
  if (tree.backup === 'file') box.put('etc/hosts.backup', 'a file');
  if (tree.backup === 'folder') fs.mkdirSync(join(box.root, 'etc/hosts.backup'));
  if (tree.backup === 'kept') box.put('etc/hosts.backup/hosts', 'kept');
  if (tree.hosts === null) return;
  const path = tree.linked ? 'etc/real/hosts' : 'etc/hosts';
  box.put(path, tree.hosts, tree.mode);
  fs.chownSync(join(box.root, path), tree.owner, tree.owner);
  if (tree.linked) fs.symlinkSync('real/hosts', join(box.root, 'etc/hosts'));
}

async function take(box: Sandbox, step: Step): Promise<void> {
  fs.writeFileSync(box.caFile, step.certificate);
  const busy = step.inPlace ? { busy: join(box.root, 'etc/hosts') } : {};
  const entries = step.hosts.map((address) => ({ address, name: 'mirror-hub.example' }));
  const { mirror, mode, foreignHostsLines } = step;
  const options = box.options({ mirror, mode, foreignHostsLines, entries, certificateNames: step.names });
  await box.pass(options, faultyFiles(step.fault, step.at, busy)).catch(() => undefined);
}

/** The folder itself is the pod's mount; everything in it goes. */
function stateLeft(box: Sandbox): string[] {
  const state = join(box.root, box.options().stateFolder);
  return fs.existsSync(state) ? fs.readdirSync(state) : [];
}
