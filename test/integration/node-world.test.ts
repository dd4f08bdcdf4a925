/** A node with real runtimes, real mirrors and the real agents: what is pulled from where, and what lies on the node, whatever happens. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { MirrorOnNode } from '../../src/api/node-report.ts';
import { makeAuthority } from '../support/certificates.ts';
import { eventually } from '../support/eventually.ts';
import type { Image } from '../support/images.ts';
import {
  operatorPair,
  restoreAll,
  restoreOnce,
  startAgent,
  type WorldAgent,
  type WorldMirror,
} from '../support/node-world/agent.ts';
import { type Asked, addresses, image, privateImage } from '../support/node-world/names.ts';
import { blobsOf, hub, makeNodeWorld, type NodeWorld, own } from '../support/node-world/node-world.ts';
import { type PullingRuntime, runtimes } from '../support/node-world/runtimes.ts';
import { differences, treeOf } from '../support/node-world/tree.ts';

/** Pulls that lose the mirror at once may take so many seconds more than those of a node without one. */
const allowance = 2;
const mirrorAgent = 'registry-mirror-operator';
const wholeImage = digestsOf(image);

const ends: (() => unknown)[] = [];
let node: NodeWorld;
/** Of the node before any agent. */
let before: Record<string, string>;
/** Seconds of a pull by each runtime then. */
const unwired: Partial<Record<PullingRuntime, number>> = {};

test.before(async () => {
  node = await makeNodeWorld({ teardown: (end) => void ends.unshift(end) });
  for (const runtime of runtimes) {
    unwired[runtime] = await node.pull(runtime, 'docker.io/library/app:1');
    const asked = node.asked();
    assert.deepEqual(blobsOf(asked), wholeImage);
    assert.ok(!agentsOf(asked).includes(mirrorAgent));
  }
  before = treeOf(node.world.path('/etc'));
});

test.after.always(async () => {
  for (const end of ends) await end();
});

/** Those that fall back on the upstream by their own mirror mechanism, and whose names. */
const falling: readonly [PullingRuntime, string][] = [
  ...runtimes.map((runtime) => [runtime, 'docker.io'] as [PullingRuntime, string]),
  ['containerd', 'registry.test'],
  ['podman', 'registry.test'],
  ['skopeo', 'registry.test'],
];

/** Starts the agents of mirrors, waits until the node is wired, and takes everything back in the end. */
async function wire(
  t: ExecutionContext,
  mirrors: readonly WorldMirror[] = [hub, own],
): Promise<WorldAgent[]> {
  const agents = await Promise.all(mirrors.map((mirror) => startAgent(node, mirror)));
  t.teardown(() => unwire(agents));
  for (const agent of agents) await agent.until(isWired);
  node.asked();
  return agents;
}

async function unwire(agents: readonly WorldAgent[]): Promise<void> {
  await Promise.all(agents.map(({ process }) => process.stop()));
  await node.startMirrors();
  await restoreAll(node.world);
}

function isWired({ complete, forwarder, runtimes: all }: MirrorOnNode): boolean {
  const isUp = ({ runtime, live }: MirrorOnNode['runtimes'][number]) => live || runtime === 'crio';
  return complete && forwarder?.offered !== false && all.every(isUp);
}

function digestsOf({ blobs }: Image): string[] {
  return blobs.map(({ digest }) => digest).sort();
}

function agentsOf(asked: readonly Asked[]): string[] {
  return [...new Set(asked.map(({ agent }) => agent.replace(/[/ ].*/, '')))];
}

test.serial(
  'every runtime pulls through the mirror, and only the first pull costs the upstream a blob',
  async (t) => {
    await wire(t);
    const seen = new Set<string>();
    for (const [runtime, name] of falling) {
      await node.pull(runtime, `${name}/library/app:1`);
      const asked = node.asked();
      t.deepEqual(blobsOf(asked), seen.has(name) ? [] : wholeImage, `${runtime} ${name}`);
      t.deepEqual(
        agentsOf(asked).filter((agent) => agent !== mirrorAgent),
        [],
        `${runtime} ${name}`,
      );
      seen.add(name);
    }
    t.deepEqual(await node.dockersMirrors(), [`http://127.0.0.1:${hub.port}/`]);
  },
);

test.serial('a private image is pulled with the client’s own credentials from the upstream', async (t) => {
  await wire(t);
  for (const { port } of [hub, own]) {
    const url = `http://127.0.0.1:${port}/v2/private/app/manifests/1`;
    const status = await node.world.run(['curl', '-s', '-o', '/dev/null', '-w', '%{http_code}', url]);
    t.is(status, '404');
  }
  for (const [runtime, name] of falling) {
    node.asked();
    await node.pull(runtime, `${name}/private/app:1`, true);
    const blobs = node.asked().filter(({ path, isServed }) => path.includes('/blobs/') && isServed);
    t.deepEqual(blobsOf(blobs), digestsOf(privateImage), `${runtime} ${name}`);
    t.false(agentsOf(blobs).includes(mirrorAgent), `${runtime} ${name}`);
  }
});

test.serial('a mirror that is gone costs a pull hardly anything; once it is back it is used', async (t) => {
  const agents = await wire(t);
  for (const mirror of [hub, own]) await node.stopMirror(mirror);
  for (const [runtime, name] of falling) await pullsFromUpstream(t, runtime, name);
  for (const agent of agents) await agent.until(({ forwarder }) => forwarder?.offered === false);
  for (const { port } of [hub, own]) await eventually(() => assert.rejects(node.reachable(port)));
  for (const [runtime, name] of falling) await pullsFromUpstream(t, runtime, name);
  for (const mirror of [hub, own]) await node.startMirror(mirror);
  for (const agent of agents) await agent.until(({ forwarder }) => forwarder?.offered === true);
  for (const [runtime, name] of falling) {
    await pullsByMirror(t, runtime, name);
  }
});

test.serial(
  'a mirror that hangs costs a pull a second for each question until it is withdrawn, then nothing',
  async (t) => {
    const agents = await wire(t, [hub]);
    const goOn = await node.pauseMirror(hub);
    t.teardown(goOn);
    const seconds = await node.pull('containerd', 'docker.io/library/app:1');
    t.log(`containerd, while it is not known: ${seconds.toFixed(2)} s`);
    t.true(seconds < 10);
    await agents[0]?.until(({ forwarder }) => forwarder?.offered === false, 5000);
    for (const runtime of runtimes) await pullsFromUpstream(t, runtime, 'docker.io');
    goOn();
    await agents[0]?.until(({ forwarder }) => forwarder?.offered === true);
  },
);

test.serial('an agent that is killed takes its ports with it, and pulls go upstream at once', async (t) => {
  const agents = await wire(t);
  const since = performance.now();
  for (const { process } of agents) await process.stop('SIGKILL');
  await Promise.all(
    [hub, own].map(({ port }) => eventually(() => assert.rejects(node.reachable(port)), { timeout: 2000 })),
  );
  t.log(`ports closed ${Math.round(performance.now() - since)} ms after the agents`);
  for (const [runtime, name] of falling) await pullsFromUpstream(t, runtime, name);
});

/** What a mirror costs it costs each pull, and what else the machine does only some: so the quickest of three counts. */
async function pullsFromUpstream(t: ExecutionContext, runtime: PullingRuntime, name: string): Promise<void> {
  const what = `${runtime} ${name}`;
  const most = (unwired[runtime] ?? 0) + allowance;
  let seconds = Number.POSITIVE_INFINITY;
  for (let tries = 0; tries < 3 && seconds >= most; tries += 1) {
    node.asked();
    seconds = await node.pull(runtime, `${name}/library/app:1`);
    t.deepEqual(blobsOf(node.asked()), wholeImage, what);
    t.log(`${what}: ${seconds.toFixed(2)} s, unwired ${unwired[runtime]?.toFixed(2)} s`);
  }
  t.true(seconds < most, `${what}: ${seconds} s`);
}

test.serial('Docker is led by a line as long as the mirror answers', async (t) => {
  const docker = { ...own, spec: { ...own.spec, nodes: { wire: 'transparent', runtimes: ['docker'] } } };
  const [agent] = await wire(t, [docker]);
  const lines = () => readFileSync(node.world.path('/etc/hosts'), 'utf8');
  const line = new RegExp(`^${addresses.own}\tregistry\\.test\t`, 'm');
  await eventually(() => assert.match(lines(), line));
  // Go reads the hosts file again after 5 s.
  await eventually(async () => assert.deepEqual(await strangersOf('docker', 'registry.test'), []));
  const since = performance.now();
  await node.stopMirror(own);
  await eventually(() => assert.doesNotMatch(lines(), line));
  t.log(`the line was gone ${Math.round(performance.now() - since)} ms after the mirror`);
  await eventually(() => node.pull('docker', 'registry.test/library/app:1'));
  t.log(`and Docker went upstream ${Math.round(performance.now() - since)} ms after it`);
  await pullsFromUpstream(t, 'docker', 'registry.test');
  await node.startMirror(own);
  await agent?.until(({ forwarder }) => forwarder?.offered === true);
  await eventually(() => assert.match(lines(), line));
  await node.reachable(own.port);
  node.asked();
  await eventually(async () => assert.deepEqual(await strangersOf('docker', 'registry.test'), []));
});

test.serial('the status says what is wired, to the operator and to root alone', async (t) => {
  const [agent] = await wire(t, [own]);
  await node.pull('containerd', 'registry.test/library/app:1');
  // A connection is counted when it closes: the one of the layer may be the last.
  const report = await agent!.until(({ forwarder }) => (forwarder?.bytes ?? 0) > 500_000);
  t.like(report, { node: 'node-one', mode: 'wire' });
  const [mirror] = report.mirrors;
  t.like(mirror, {
    name: 'own',
    complete: true,
    forwarder: { port: own.port, offered: true, reason: 'Answers' },
  });
  t.true((mirror?.forwarder?.connections ?? 0) > 0);
  t.truthy(mirror?.forwarder?.lastUsed);
  const said = mirror?.runtimes.map(({ runtime, found, wired, live, reason }) => ({
    runtime,
    found,
    wired,
    live,
    reason,
  }));
  t.deepEqual(said, [
    { runtime: 'docker', found: true, wired: true, live: true, reason: '' },
    { runtime: 'containerd', found: true, wired: true, live: true, reason: '' },
    { runtime: 'crio', found: true, wired: true, live: false, reason: 'NotRunning' },
    { runtime: 'hosts', found: true, wired: true, live: true, reason: '' },
  ]);
  const versionOf = (name: string) => mirror?.runtimes.find(({ runtime }) => runtime === name)?.version ?? '';
  for (const [name, program] of [
    ['containerd', 'containerd'],
    ['docker', 'dockerd'],
  ] as const)
    t.true(
      (await node.world.run([program, '--version'])).includes(versionOf(name)) && versionOf(name) !== '',
      name,
    );
  t.deepEqual(
    mirror?.findings.map(({ reason }) => reason),
    ['DockerNotLed'],
  );
  t.regex(await agent!.local('/metrics'), /^registry_mirror_node_forwarder_offered\{mirror="own"\} 1$/m);
  t.deepEqual(JSON.parse(await agent!.local()).mirrors[0].name, 'own');
  await t.throwsAsync(agent!.local('/status', 65_534));
  await t.throwsAsync(agent!.status('none'));
  const stranger = await makeAuthority(join(node.world.folder, 'stranger'), 'registry-mirror-operator');
  await t.throwsAsync(agent!.status(await operatorPair(stranger)));
});

test.serial('after the restores the node is what it was, byte for byte, and pulls go upstream', async (t) => {
  const agents = await wire(t);
  t.notDeepEqual(differences(before, treeOf(node.world.path('/etc'))), {});
  for (const { process } of agents) t.is(await process.stop('SIGTERM'), 0);
  await restoreOnce(node, hub);
  t.regex(readFileSync(node.world.path('/etc/hosts'), 'utf8'), /mirror-registry\.test/);
  t.notRegex(readFileSync(node.world.path('/etc/hosts'), 'utf8'), /mirror-docker\.io/);
  await restoreAll(node.world);
  t.deepEqual(differences(before, treeOf(node.world.path('/etc'))), {});
  t.false(existsSync(node.world.path('/var/lib/registry-mirror-operator')));
  await eventually(async () => assert.deepEqual(await node.dockersMirrors(), []));
  for (const [runtime, name] of falling) await pullsFromUpstream(t, runtime, name);
});

test.serial(
  'with endpoint service containerd and podman dial the Service, by the CA on the node’s disk',
  async (t) => {
    const nodes = { wire: 'transparent', endpoint: 'service', runtimes: ['containerd', 'crio'] };
    const service = { ...own, spec: { ...own.spec, nodes } };
    await wire(t, [service]);
    await t.throwsAsync(node.reachable(own.port));
    for (const runtime of ['containerd', 'podman', 'skopeo'] as const) {
      await pullsByMirror(t, runtime, 'registry.test');
      await node.pull(runtime, 'registry.test/private/app:1', true);
    }
    await node.stopMirror(own);
    for (const runtime of ['containerd', 'podman', 'skopeo'] as const)
      await pullsFromUpstream(t, runtime, 'registry.test');
    await node.startMirror(own);
  },
);

test.serial(
  'a masquerade that is Docker Hub’s own name leads every runtime, and Docker Hub stays behind it',
  async (t) => {
    await wire(t, [{ ...hub, spec: { upstreamUrl: 'docker.io', masqueradeUrl: 'registry-1.docker.io' } }]);
    t.notRegex(readFileSync(node.world.path('/etc/hosts'), 'utf8'), /docker\.io/);
    for (const runtime of runtimes) await pullsByMirror(t, runtime, 'docker.io');
    await node.stopMirror(hub);
    for (const runtime of runtimes) await pullsFromUpstream(t, runtime, 'docker.io');
    await node.startMirror(hub);
  },
);

test.serial(
  'a masquerade that is the upstream’s name with its port leads both spellings, and the upstream stays behind them',
  async (t) => {
    const spellings = ['registry.test', 'registry.test:443'];
    const named = await startNamed(t);
    await wire(t, [named]);
    t.notRegex(readFileSync(node.world.path('/etc/hosts'), 'utf8'), /registry\.test/);
    const pulling = ['containerd', 'podman', 'skopeo'] as const;
    for (const runtime of pulling) for (const name of spellings) await pullsByMirror(t, runtime, name);
    await node.stopMirror(named);
    for (const runtime of pulling) for (const name of spellings) await pullsFromUpstream(t, runtime, name);
  },
);

test.serial('Docker is led for both spellings by one line', async (t) => {
  const named = await startNamed(t, { runtimes: ['docker'] });
  await wire(t, [named]);
  // Go reads the hosts file again after 5 s.
  for (const name of ['registry.test', 'registry.test:443'])
    await eventually(async () => assert.deepEqual(await strangersOf('docker', name), [], name));
  t.pass();
});

/** The mirror of the own registry under that registry's name, with its port; until the test is over. */
async function startNamed(t: ExecutionContext, nodes: object = {}): Promise<WorldMirror> {
  const spec = { upstreamUrl: 'registry.test', masqueradeUrl: 'registry.test:443', nodes };
  const named = { ...own, spec };
  t.teardown(async () => {
    await node.stopMirror(named);
    await node.startMirror(own);
  });
  await node.stopMirror(own);
  await node.startMirror(named);
  return named;
}

async function pullsByMirror(t: ExecutionContext, runtime: PullingRuntime, name: string): Promise<void> {
  t.deepEqual(await strangersOf(runtime, name), [], `${runtime} ${name}`);
}

/** Who beside the mirror asks the upstream for an image. */
async function strangersOf(runtime: PullingRuntime, name: string): Promise<string[]> {
  node.asked();
  await node.pull(runtime, `${name}/library/app:1`);
  return agentsOf(node.asked()).filter((agent) => agent !== mirrorAgent);
}
