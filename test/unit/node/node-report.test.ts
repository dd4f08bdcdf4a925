import * as fs from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import type { MirrorOnNode } from '../../../src/api/node-report.ts';
import type { NodeFacts } from '../../../src/node/facts.ts';
import type { ForwarderStatus } from '../../../src/node/forwarder/forwarder.ts';
import { metricsOf } from '../../../src/node/status/metrics.ts';
import { nodeReport, type ReportInput } from '../../../src/node/status/node-report.ts';
import { bothMirrors, configuration, everyRuntime, sharedAgent } from './runtime-node.ts';
import { makeSandbox, refusingFiles, type Sandbox } from './sandbox.ts';

function node(t: { teardown: (remove: () => void) => void }): Sandbox {
  const box = makeSandbox();
  t.teardown(box.remove);
  for (const [path, text] of Object.entries(configuration)) box.put(path, text);
  return box;
}

const offered = (name: string, connections = 0): ForwarderStatus => ({
  name,
  port: 29_001,
  offered: true,
  since: 1_000,
  reason: 'Answers',
  detail: '',
  connections,
  failed: 0,
  bytesToClients: connections * 10,
  bytesFromClients: 0,
  ...(connections > 0 && { lastUsed: 2_000 }),
});

/** What is said after a real pass. */
async function reportOf(box: Sandbox, changes: Partial<ReportInput> = {}) {
  const { facts = everyRuntime } = changes;
  const mirrors = bothMirrors(box.caFile);
  const pass = await box.pass(sharedAgent(box, mirrors, { facts }));
  const common = {
    node: 'node-1',
    mode: 'wire' as const,
    knowsAll: true,
    mirrors,
    forwarderFindings: [],
    restart: [],
    at: 3_000,
  };
  const forwarder = [offered('hub', 3), offered('quay')];
  return nodeReport({ ...common, pass, facts, forwarder, ...changes });
}

const startedNow = (facts: NodeFacts): NodeFacts => ({
  ...facts,
  ...(facts.containerd && { containerd: { ...facts.containerd, startedAt: Date.now() + 50 } }),
});

test('each mirror is told with its runtimes, and nobody is guessed to have used it', async (t) => {
  const box = node(t);
  for (const path of Object.keys(configuration)) fs.utimesSync(`${box.root}/${path}`, 1_000, 1_000);
  const { mirrors, owners } = await reportOf(box, { facts: startedNow(everyRuntime) });
  t.deepEqual(owners, ['hub', 'quay']);
  t.deepEqual(
    mirrors.map(({ name, complete }) => [name, complete]),
    [
      ['hub', true],
      ['quay', true],
    ],
  );
  const [hub, quay] = mirrors;
  t.deepEqual(
    hub?.runtimes.map(({ runtime, wired, live, used }) => [runtime, wired, live, used]),
    [
      ['docker', true, true, undefined],
      ['containerd', true, true, undefined],
      ['crio', true, true, undefined],
      ['hosts', true, true, undefined],
    ],
  );
  t.deepEqual(
    quay?.runtimes.map(({ used }) => used),
    [false, false, false, undefined],
  );
  t.like(hub?.forwarder, { connections: 3, bytes: 30, lastUsed: '1970-01-01T00:00:02Z' });
});

test('where one runtime alone is live, what was used is its use', async (t) => {
  const box = node(t);
  fs.utimesSync(`${box.root}/etc/containerd/config.toml`, 1_000, 1_000);
  const facts = startedNow({ containerd: everyRuntime.containerd! });
  const [hub] = (await reportOf(box, { facts })).mirrors;
  t.deepEqual(hub?.runtimes.find(({ runtime }) => runtime === 'containerd')?.used, true);
});

test('a containerd that was started before its configuration was changed is wired and not live', async (t) => {
  const box = node(t);
  const facts = { containerd: { ...everyRuntime.containerd!, startedAt: 1_000 } };
  const [hub] = (await reportOf(box, { facts })).mirrors;
  t.like(hub?.runtimes[0], { runtime: 'containerd', wired: true, live: false, reason: 'NotRestarted' });
  t.is(hub?.runtimes[0]?.restartNeeded, undefined);
});

test('only a containerd that we have configured, and may, waits for its restart', async (t) => {
  const box = node(t);
  box.put('etc/containerd/config.toml', 'version = 2\n');
  const facts = { containerd: { ...everyRuntime.containerd!, startedAt: 1_000 } };
  const mirrors = bothMirrors(box.caFile).map((mirror) => ({
    ...mirror,
    containerd: 'configureAndRestart' as const,
  }));
  const pass = await box.pass(sharedAgent(box, mirrors, { facts }));
  const [hub] = (await reportOf(box, { facts, mirrors, pass })).mirrors;
  t.like(hub?.runtimes[0], {
    runtime: 'containerd',
    live: false,
    reason: 'NotRestarted',
    restartNeeded: true,
  });
});

test('what is wrong with one mirror is not told of another', async (t) => {
  const box = node(t);
  const taken = { reason: 'PortTaken', mirror: 'quay', message: 'taken', blocks: true };
  const report = await reportOf(box, { forwarderFindings: [taken] });
  t.deepEqual(
    report.mirrors.map(({ complete }) => complete),
    [true, false],
  );
  const none = { reason: 'NoForwarder', message: 'no module', blocks: true };
  const both = await reportOf(box, { forwarderFindings: [none] });
  t.true(both.mirrors.every(({ complete }) => !complete));
});

const stateOf = (mirrors: readonly MirrorOnNode[]) =>
  mirrors.map(({ name, complete, runtimes }) => [
    name,
    complete,
    runtimes.map(({ runtime, wired, reason }) => `${runtime} ${wired ? 'wired' : reason}`),
  ]);

test('a node whose journal cannot be read is wired to nothing as far as is known, and nothing is said of what it has', async (t) => {
  const box = node(t);
  await reportOf(box);
  const journal = join(box.root, 'var/lib/registry-mirror-operator/journal');
  const files = refusingFiles('EACCES', ['readdirSync'], (path) => path === journal);
  const pass = await box.pass(sharedAgent(box), files);
  const { mirrors, owners } = await reportOf(box, { pass });
  t.is(owners, undefined);
  const none = ['docker', 'containerd', 'crio', 'hosts'].map((runtime) => `${runtime} WriteFailed`);
  t.deepEqual(stateOf(mirrors), [
    ['hub', false, none],
    ['quay', false, none],
  ]);
  for (const { findings, runtimes } of mirrors) {
    t.like(findings, [{ reason: 'WriteFailed', path: '/var/lib/registry-mirror-operator/journal' }]);
    t.true(runtimes.every(({ live, message }) => !live && message.includes('EACCES')));
  }
});

test('a node whose lock cannot be made is wired by what it has, and not by what is to be written', async (t) => {
  const box = node(t);
  const lock = join(box.root, 'var/lock/mirror-hostess');
  const files = refusingFiles('EACCES', ['mkdirSync'], (path) => path === lock);
  const [hub, quay] = bothMirrors(box.caFile);
  await box.pass(sharedAgent(box, [hub!]));
  fs.rmSync(lock, { recursive: true, force: true });
  const pass = await box.pass(sharedAgent(box, [hub!, quay!]), files);
  const { mirrors, owners } = await reportOf(box, { pass });
  t.deepEqual(owners, ['hub']);
  const of = (state: string) => ['docker', 'containerd', 'crio', 'hosts'].map((name) => `${name} ${state}`);
  t.deepEqual(stateOf(mirrors), [
    ['hub', false, of('wired')],
    ['quay', false, of('WriteFailed')],
  ]);
  for (const { findings } of mirrors)
    t.like(
      findings.filter(({ blocks }) => blocks),
      [{ reason: 'WriteFailed', path: '/var/lock/mirror-hostess' }],
    );
});

test('metrics tell the same', async (t) => {
  const { text } = await metricsOf(await reportOf(node(t)));
  t.regex(text, /^registry_mirror_node_complete\{mirror="hub"\} 1$/m);
  t.regex(text, /^registry_mirror_node_forwarder_connections\{mirror="hub"\} 3$/m);
  t.regex(
    text,
    /^registry_mirror_node_runtime_wired\{mirror="quay",runtime="docker",version="20\.10\.24"\} 1$/m,
  );
});

test('a Docker that nothing leads to a mirror with client certificates is not said to be wired', async (t) => {
  const box = node(t);
  const facts = { docker: { running: true, version: '20.10.24', containerdStore: false } };
  const mirrors = bothMirrors(box.caFile).map((mirror) => ({
    ...mirror,
    hostsNames: [],
    clientCertificate: true,
  }));
  const pass = await box.pass(sharedAgent(box, mirrors, { facts }));
  const common = {
    node: 'node-1',
    mode: 'wire',
    knowsAll: true,
    mirrors,
    forwarderFindings: [],
    restart: [],
    at: 3_000,
  } as const;
  const forwarder = [offered('hub'), offered('quay')];
  const report = nodeReport({ ...common, pass, facts, forwarder });
  t.deepEqual(
    report.mirrors.map(({ name, complete, runtimes }) => [
      name,
      complete,
      runtimes.map(({ runtime, wired, live, reason }) => [runtime, wired, live, reason]),
    ]),
    [
      ['hub', true, [['docker', true, true, '']]],
      ['quay', false, [['docker', false, false, 'DockerNotLed']]],
    ],
  );
});
