import * as fs from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import fc from 'fast-check';
import type { NodeFacts } from '../../../src/node/facts.ts';
import type { WiredMirror } from '../../../src/node/options.ts';
import { restoreMirrors } from '../../../src/node/pass.ts';
import { certificateOne, certificateTwo } from './certificates.ts';
import { bothMirrors, configuration, everyRuntime, sharedAgent } from './runtime-node.ts';
import { type Fault, faultyFiles, makeSandbox, type Sandbox, toolsWith } from './sandbox.ts';

const foreign: Readonly<Record<string, string>> = {
  'etc/containerd/certs.d/docker.io/hosts.toml': '[host."https://other.example"]\n',
  'etc/containerd/certs.d/quay.example/ca.crt': 'foreign',
  'etc/containerd/certs.d/_default/hosts.toml': '[host."https://default.example"]\n',
  'etc/containers/registries.conf.d/10-quay.conf':
    '[[registry]]\nprefix = "quay.example"\nlocation = "x.example"\n',
  'etc/docker/certs.d/quay.example/client.cert': 'foreign',
  'etc/docker/certs.d/mirror-docker.io/ca.crt': 'foreign',
  'etc/hosts.backup/hosts': 'kept',
};

const texts: Readonly<Record<string, readonly string[]>> = {
  'etc/containerd/config.toml': [
    '',
    'version = 2\n',
    '[broken',
    configuration['etc/containerd/config.toml'] ?? '',
  ],
  'etc/containers/registries.conf': ['', '[broken', 'unqualified-search-registries = []\r\n'],
  'etc/docker/daemon.json': ['', '{}', '\t{ "registry-mirrors" : [ "https://other.example" ] }', '{ broken'],
  'etc/hosts': ['', '127.0.0.1 localhost', '10.0.0.1 quay.example mirror-docker.io\r\n'],
};

/** What lies on a node before us. */
const trees = fc.record({
  files: fc.record(
    Object.fromEntries(Object.entries(texts).map(([path, all]) => [path, fc.constantFrom(...all)])),
    { requiredKeys: [] },
  ),
  foreign: fc.subarray(Object.keys(foreign)),
  mode: fc.constantFrom(0o644, 0o600, 0o444),
  linked: fc.boolean(),
});

const facts: fc.Arbitrary<NodeFacts> = fc.constantFrom<NodeFacts>(
  everyRuntime,
  { containerd: { running: true, version: '2.1.0' } },
  { docker: { running: true, version: '29.0.0', containerdStore: true }, containerd: { running: true } },
  { crio: { running: true } },
  { docker: { running: true, version: '20.10.24' } },
);

const steps = fc.record({
  facts,
  mirrors: fc.subarray([0, 1]),
  whole: fc.boolean(),
  mode: fc.constantFrom('wire' as const, 'wire' as const, 'restore' as const),
  endpoint: fc.constantFrom('loopback' as const, 'service' as const),
  foreignFiles: fc.constantFrom('refuse' as const, 'takeover' as const),
  foreignHostsLines: fc.constantFrom('override' as const, 'respect' as const),
  runtimes: fc.constantFrom<WiredMirror['runtimes']>(
    ['auto'],
    ['auto', 'hosts'],
    ['containerd'],
    ['docker', 'crio'],
  ),
  containerd: fc.constantFrom('report' as const, 'configure' as const),
  answers: fc.boolean(),
  certificate: fc.constantFrom(certificateOne, certificateTwo),
  fault: fc.constantFrom<Fault>('kill-before', 'kill-within', 'kill-after', 'fail'),
  at: fc.oneof(fc.constant(0), fc.nat(600)),
});

type Step = typeof steps extends fc.Arbitrary<infer T> ? T : never;

test('whatever lay on a node, after any sequence of wirings, changes, crashes and upgrades a restore gives it back', async (t) => {
  await fc.assert(
    fc.asyncProperty(trees, fc.array(steps, { maxLength: 5 }), async (tree, sequence) => {
      const box = makeSandbox();
      try {
        plant(box, tree);
        const before = box.tree();
        for (const step of sequence) await take(box, step);
        const restored = await restoreMirrors(box.options(), toolsWith(fs), () => true, {
          facts: everyRuntime,
        });
        t.true(restored.complete, JSON.stringify(restored.findings));
        t.deepEqual(box.tree(), before);
        const state = join(box.root, box.options().stateFolder);
        t.deepEqual(fs.existsSync(state) ? fs.readdirSync(state) : [], []);
      } finally {
        box.remove();
      }
    }),
    { numRuns: 150 },
  );
});

function plant(box: Sandbox, tree: typeof trees extends fc.Arbitrary<infer T> ? T : never): void {
  for (const path of tree.foreign) box.put(path, foreign[path] ?? '', 0o640);
  for (const [path, text] of Object.entries(tree.files)) {
    const isLinked = tree.linked && path === 'etc/docker/daemon.json';
    box.put(isLinked ? 'etc/real/daemon.json' : path, text ?? '', tree.mode);
    if (isLinked) {
      fs.mkdirSync(join(box.root, 'etc/docker'), { recursive: true });
      fs.symlinkSync('../real/daemon.json', join(box.root, path));
    }
  }
}

async function take(box: Sandbox, step: Step): Promise<void> {
  fs.writeFileSync(box.caFile, step.certificate);
  const { endpoint, foreignFiles, foreignHostsLines, runtimes, mode, whole } = step;
  const all = bothMirrors(box.caFile).map((mirror) => ({
    ...mirror,
    endpoint,
    foreignFiles,
    foreignHostsLines,
    runtimes,
    containerd: step.containerd,
  }));
  const mirrors = all.filter((_, at) => step.mirrors.includes(at));
  const changes = {
    mode,
    facts: step.facts,
    answers: () => step.answers,
    mirrors: () => ({ mirrors, whole }),
  };
  await box.pass(sharedAgent(box, mirrors, changes), faultyFiles(step.fault, step.at)).catch(() => undefined);
}
