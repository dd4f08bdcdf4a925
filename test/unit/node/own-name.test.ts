/** A masquerade that is the upstream's own name, on every kind of node: by which file each runtime is led, and that no line takes its upstream away. */
import test from 'ava';
import type { NodeFacts } from '../../../src/node/facts.ts';
import type { WiredMirror } from '../../../src/node/options.ts';
import { configuration, sharedAgent } from './runtime-node.ts';
import { makeSandbox, wiredMirror } from './sandbox.ts';

const classic = { docker: { running: true, version: '20.10.24', containerdStore: false } };
const newer = { docker: { running: true, version: '29.1.0', containerdStore: true } };
const containerd = { containerd: { running: true, version: '2.1.0' } };
const crio = { crio: { running: true, version: '1.30.0' } };
const podman = { crio: { running: false } };

/** What a pass writes for a mirror whose alias is `name`, as earlier operators tell of it too. */
async function wiredFor(
  t: { teardown: (end: () => void) => void },
  name: string,
  facts: NodeFacts,
  changes: Partial<WiredMirror> = {},
  files: Record<string, string> = {},
) {
  const box = makeSandbox();
  t.teardown(box.remove);
  for (const [path, text] of Object.entries({ ...configuration, ...files })) box.put(path, text);
  const mirror = wiredMirror('own', box.caFile, {
    names: [{ name, upstream: true }],
    addresses: ['10.96.0.10'],
    port: 29_001,
    hostsNames: [name],
    certificateNames: [],
    ...changes,
  });
  const pass = async (answers = true) => {
    const { findings } = await box.pass(sharedAgent(box, [mirror], { facts, answers: () => answers }));
    return findings.map(({ reason }) => reason);
  };
  const reasons = await pass();
  const file = (path: string) => box.bytes(path)?.toString() ?? '';
  return {
    pass,
    reasons,
    line: () => file('etc/hosts').includes(`\t${name}\t`),
    daemon: () => file('etc/docker/daemon.json').includes('127.0.0.1:29001'),
    containerd: () => file(`etc/containerd/certs.d/${name}/hosts.toml`).includes('127.0.0.1:29001'),
    docker29: () => file(`etc/docker/certs.d/${name}/hosts.toml`).includes('127.0.0.1:29001'),
    crio: () =>
      file(`etc/containers/registries.conf.d/50-registry-mirror-${name}.conf`).includes('127.0.0.1:29001'),
  };
}

const nothing = { line: false, daemon: false, containerd: false, docker29: false, crio: false };

/** `hub`: what docker.io is led by; `quay`: the same of quay.io. */
const nodes: Record<
  string,
  { facts: NodeFacts; hub: Partial<typeof nothing>; quay: Partial<typeof nothing> }
> = {
  'a classic Docker': { facts: classic, hub: { daemon: true }, quay: { line: true } },
  'Docker 29': { facts: newer, hub: { docker29: true }, quay: { docker29: true } },
  containerd: { facts: containerd, hub: { containerd: true }, quay: { containerd: true } },
  'CRI-O': { facts: crio, hub: { crio: true }, quay: { crio: true } },
  podman: { facts: podman, hub: { crio: true }, quay: { crio: true } },
  'a classic Docker and containerd': {
    facts: { ...classic, ...containerd },
    hub: { daemon: true, containerd: true },
    quay: { containerd: true },
  },
  'a classic Docker and CRI-O': {
    facts: { ...classic, ...crio },
    hub: { daemon: true, crio: true },
    quay: { crio: true },
  },
  'a classic Docker and podman': {
    facts: { ...classic, ...podman },
    hub: { daemon: true, crio: true },
    quay: { line: true, crio: true },
  },
  'Docker 29 and containerd': {
    facts: { ...newer, ...containerd },
    hub: { docker29: true, containerd: true },
    quay: { docker29: true, containerd: true },
  },
  'no runtime that is known': { facts: {}, hub: {}, quay: { line: true } },
};

for (const [title, { facts, hub, quay }] of Object.entries(nodes))
  for (const [name, led] of [
    ['docker.io', hub],
    ['quay.io', quay],
  ] as const)
    test(`${name} as masquerade of its own mirror on a node with ${title}`, async (t) => {
      const wired = await wiredFor(t, name, facts);
      const seen = Object.keys(nothing).map((each) => [each, wired[each as keyof typeof nothing]()]);
      t.deepEqual(Object.fromEntries(seen), { ...nothing, ...led });
      await wired.pass(false);
      t.false(wired.line());
    });

test('Beside a Docker no line takes the upstream from a containerd that cannot be wired', async (t) => {
  for (const docker of [classic.docker, { running: false }]) {
    const facts = { docker, containerd: { running: true, version: '1.6.20' } };
    const wired = await wiredFor(t, 'quay.io', facts, {}, { 'etc/containerd/config.toml': 'version = 2\n' });
    t.true(wired.reasons.includes('ConfigPathUnset'));
    t.is(wired.reasons.includes('DockerNotLed'), docker.running);
    t.false(wired.line());
    t.false(wired.containerd());
  }
});

test('What a containerd that was removed has left takes no line from Docker', async (t) => {
  const wired = await wiredFor(t, 'quay.io', { ...classic, containerd: { running: false } });
  t.true(wired.line());
});

test('A containerd without its CRI plugin is Docker’s own, and no line takes anything from it', async (t) => {
  const facts = { ...classic, ...containerd };
  const config = { 'etc/containerd/config.toml': 'version = 2\ndisabled_plugins = ["cri"]\n' };
  const wired = await wiredFor(t, 'quay.io', facts, {}, config);
  t.true(wired.line());
});

test('A Docker whose mirrors must be on loopback gets no line for Docker Hub, which would serve nobody', async (t) => {
  const wired = await wiredFor(t, 'docker.io', classic, { endpoint: 'service' });
  t.false(wired.line());
  t.false(wired.daemon());
  t.true(wired.reasons.includes('DockerNotLed'));
});

test('A runtime that is named and was not found is led by its file, and by no line', async (t) => {
  for (const runtime of ['containerd', 'crio'] as const) {
    const wired = await wiredFor(t, 'quay.io', {}, { runtimes: [runtime] });
    t.true(wired[runtime]());
    t.false(wired.line());
  }
});

test('A line has no port: an alias on another port of the upstream’s host gets one where the upstream would', async (t) => {
  const names = [
    { name: 'quay.io', upstream: true },
    { name: 'quay.io:5000', upstream: false },
  ];
  const changes = { names, hostsNames: ['quay.io:5000'] };
  const wired = await wiredFor(t, 'quay.io', containerd, changes);
  t.false(wired.line());
  const docker = await wiredFor(t, 'quay.io', classic, { ...changes, certificateNames: ['quay.io:5000'] });
  t.true(docker.line());
  await docker.pass(false);
  t.false(docker.line());
});
