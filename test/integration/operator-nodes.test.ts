/** What node agents say, on a real API server: it reaches the status, allows restarts, and takes startup taints away. */
import assert from 'node:assert/strict';
import test, { type ExecutionContext } from 'ava';
import { createClient } from '../../src/kube/client.ts';
import { loadConnection } from '../../src/kube/connection.ts';
import { createLogger } from '../../src/observe/log.ts';
import { Operator } from '../../src/operator/operator.ts';
import {
  type AgentServer,
  agentPod,
  mirrorOnNode,
  nodeReport,
  startAgentServer,
} from '../support/agent-server.ts';
import { eventually } from '../support/eventually.ts';
import { fakeNodes, type Live, pathsOf, startWorld, type World } from '../support/operator-world.ts';
import { settingsOf } from '../unit/resources/fixtures.ts';

let world: World;
test.before(async () => {
  world = await startWorld();
});
test.after.always(() => world?.end());

const taintKey = 'example.com/not-wired';
const taint = { key: taintKey, effect: 'NoSchedule' };
const other = { key: 'example.com/other', value: 'x', effect: 'NoExecute' };

/** An operator in this process, which asks agents all the time. */
async function startOperator(t: ExecutionContext, access = world.proxy.access): Promise<void> {
  const client = createClient(await loadConnection(access), { userAgent: 'test' });
  const operator = new Operator({
    client,
    settings: settingsOf(),
    identity: 'test',
    secondsBetweenStreams: 1,
    logger: createLogger({ level: 'silent' }),
    agentPolling: { pauseMs: { least: 50, most: 50 } },
  });
  const stop = new AbortController();
  const ended = operator.run(stop.signal);
  t.teardown(async () => {
    stop.abort();
    await ended;
    await client.close();
  });
}

async function secretFile(name: string, key: string): Promise<string> {
  const secret = await world.get(`/api/v1/namespaces/default/secrets/${name}`);
  return Buffer.from(secret.data[key], 'base64').toString();
}

/** The port in the agents' environment; where a DaemonSet has none yet, it is given one. */
async function agentPort(name: string): Promise<number> {
  const path = pathsOf(name).daemonSet;
  const { status } = await world.settled(name);
  const { env } = (await world.get(path)).spec.template.spec.containers[0];
  const entry = { name: 'NODE_PORT', value: String(status.nodePort) };
  const at = '/spec/template/spec/containers/0/env/-';
  if (!env.some((one: Live) => one.name === entry.name))
    await world.patch(path, [{ op: 'add', path: at, value: entry }]);
  return status.nodePort;
}

/** Starts the agent of a mirror on a node, with the certificate that the operator made, and its pod. */
async function startAgent(
  t: ExecutionContext,
  mirror: string,
  node: string,
  address: string,
  said: Parameters<typeof mirrorOnNode>[0] = {},
): Promise<AgentServer> {
  const port = await agentPort(mirror);
  const secret = `registry-mirror-${mirror}-client`;
  const agent = await startAgentServer(t, {
    ...{ address, port },
    authority: { certificatePem: await secretFile(secret, 'ca.crt') },
    pair: {
      certificatePem: await secretFile(secret, 'tls.crt'),
      keyPem: await secretFile(secret, 'tls.key'),
    },
    says: says(mirror, said),
  });
  const { status, ...pod } = agentPod(node, { address, port }, { labels: { mirror } });
  const { uid: _uid, resourceVersion: _version, creationTimestamp: _made, ...metadata } = pod.metadata;
  const name = `${mirror}-${node}`;
  await world.plane.apply({ ...pod, metadata: { ...metadata, name } } as Live);
  await world.patch(`/api/v1/namespaces/default/pods/${name}/status`, {
    status: { ...status, phase: 'Running' },
  });
  return agent;
}

const addNode = (name: string, taints: readonly object[]) =>
  world.plane.apply({ apiVersion: 'v1', kind: 'Node', metadata: { name }, spec: { taints } } as Live);
/** The API server taints every new node that is not ready; nobody here takes that away. */
const taintsOf = async (name: string): Promise<Live[]> => {
  const { spec } = await world.get(`/api/v1/nodes/${name}`);
  return (spec.taints ?? []).filter(({ key }: Live) => !key.startsWith('node.kubernetes.io/'));
};

const says = (mirror: string, more: Parameters<typeof mirrorOnNode>[0]) => ({
  ...nodeReport(),
  mirrors: [mirrorOnNode({ name: mirror, ...more })],
});

test.serial('What agents say reaches the status, and costs no write where it stays the same', async (t) => {
  fakeNodes(t, world, 2);
  await startOperator(t);
  await world.mirror('hub', { upstreamUrl: 'hub.example', nodes: { wire: 'transparent' } });
  await world.condition('hub', 'NodesWired', 'Wired');
  const one = await startAgent(t, 'hub', 'node-a', '127.95.0.1');
  const two = await startAgent(t, 'hub', 'node-b', '127.95.0.2');
  const finding = {
    reason: 'ConfigPathUnset',
    path: '/etc/containerd/config.toml',
    message: 'm',
    blocks: true,
  };
  two.says = says('hub', { complete: false, findings: [finding] });
  const told = await world.condition('hub', 'NodesWired', 'NodesNotWired');
  t.is(told.message, '1/2 nodes wired; 1 x config_path unset (node-b)');
  t.is((await world.get(pathsOf('hub').mirror)).status.nodes, '1/2');
  t.deepEqual(new Set(one.callers), new Set(['registry-mirror-operator.status']));

  const asked = async () => {
    const before = one.callers.length;
    await eventually(() => assert.ok(one.callers.length > before + 10));
  };
  await asked();
  world.proxy.reset();
  await asked();
  t.deepEqual(world.proxy.writes(), [], 'idle');

  const { runtimes } = mirrorOnNode();
  two.says = says('hub', { runtimes: runtimes.map((runtime) => ({ ...runtime, live: false })) });
  const dead = await world.condition('hub', 'NodesWired', 'NothingLive');
  t.is(dead.message, '2/2 nodes wired; on 1 nodes (node-b) no pull reaches the mirror');
  const { forwarder } = mirrorOnNode();
  one.says = says('hub', { forwarder: { ...forwarder!, lastUsed: new Date().toISOString() } });
  await world.condition('hub', 'InUse', 'Used');
});

test.serial('A node that waits for a restart is allowed one, the next when it is live', async (t) => {
  fakeNodes(t, world, 2);
  await startOperator(t);
  const nodes = { wire: 'transparent', containerd: 'configureAndRestart' };
  await world.mirror('turn', { upstreamUrl: 'turn.example', nodes });
  const agents = [
    await startAgent(t, 'turn', 'node-a', '127.95.1.1'),
    await startAgent(t, 'turn', 'node-b', '127.95.1.2'),
  ];
  const runtime = mirrorOnNode().runtimes[0]!;
  const waiting = says('turn', {
    runtimes: [{ ...runtime, live: false, reason: 'ConfiguredNotRead', restartNeeded: true }],
  });
  for (const agent of agents) agent.says = waiting;
  const restarts = () => agents.map((agent) => agent.restarts.length);
  await eventually(() => assert.deepEqual(restarts(), [1, 0]));
  t.deepEqual(agents[0]?.restarts, [{ mirror: 'turn', runtime: 'containerd' }]);
  const before = agents[1]!.callers.length;
  await eventually(() => assert.ok(agents[1]!.callers.length > before + 5));
  t.deepEqual(restarts(), [1, 0], 'one at a time');
  agents[0]!.says = says('turn', {});
  await eventually(() => assert.deepEqual(restarts(), [1, 1]));
});

test.serial(
  'A startup taint goes when all mirrors that name it are wired, and every other taint stays',
  async (t) => {
    fakeNodes(t, world, 1);
    await startOperator(t);
    for (const name of ['first', 'second'])
      await world.mirror(name, { upstreamUrl: `${name}.example`, nodes: { startupTaint: taintKey } });
    await addNode('fresh', [other, taint, { ...taint, effect: 'NoExecute' }]);
    await addNode('unselected', [taint]);
    const notYet = { complete: false };
    const first = await startAgent(t, 'first', 'fresh', '127.95.2.1', notYet);
    const second = await startAgent(t, 'second', 'fresh', '127.95.2.2', notYet);
    // A round that began before it was there knows nothing of it.
    await eventually(() => assert.ok(second.callers.length > 0));
    first.says = says('first', {});
    const asked = async () => {
      const before = [first.callers.length, second.callers.length];
      await eventually(() => {
        for (const [index, { callers }] of [first, second].entries())
          assert.ok(callers.length > before[index]! + 5);
      });
    };
    await asked();
    t.is((await taintsOf('fresh')).length, 3);
    second.says = says('second', {});
    await eventually(async () => assert.deepEqual(await taintsOf('fresh'), [other]));
    t.deepEqual(await taintsOf('unselected'), [taint]);
  },
);

test.serial('An operator without the right to nodes says what it lacks', async (t) => {
  const account = { namespace: 'default', name: 'registry-mirror-operator' };
  for (const file of ['service-accounts.yaml', 'rbac.yaml'])
    await world.plane.applyFile(`deploy/base/${file}`);
  const role = '/apis/rbac.authorization.k8s.io/v1/clusterroles/registry-mirror-operator';
  const { rules } = await world.get(role);
  const without = rules.filter(({ resources }: Live) => !resources.includes('nodes'));
  t.is(without.length, rules.length - 1);
  await world.patch(role, { rules: without });
  await startOperator(t, await world.plane.podAccess(await world.plane.tokenFor(account)));
  const { message } = await world.condition('first', 'NodesWired', 'TaintNotRemoved');
  t.regex(message, /Taint example\.com\/not-wired .* no right to list nodes/);
  await world.condition('first', 'Stalled', 'Working');
  await world.patch(role, { rules });
  await eventually(async () => {
    const { status } = await world.get(pathsOf('first').mirror);
    const told = status.conditions.find(({ type }: Live) => type === 'NodesWired');
    assert.notEqual(told.reason, 'TaintNotRemoved');
  });
});
