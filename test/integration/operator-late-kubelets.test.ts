/** Shared agents whose kubelets bring a changed list late, or a list from before. */
import assert from 'node:assert/strict';
import test, { type ExecutionContext } from 'ava';
import { type AgentNode, agentNode, type NodeOptions } from '../support/agent-node.ts';
import { eventually } from '../support/eventually.ts';
import { type Live, pathsOf, startWorld, type World } from '../support/operator-world.ts';

let world: World;
test.before(async () => {
  world = await startWorld();
});
test.afterEach.always(async (t) => {
  if (!t.passed) t.log(world.lastWords());
  await world.stopOperators();
});
test.after.always(() => world?.end());

const set = 'registry-mirror-nodes';
const secretPath = `/api/v1/namespaces/default/secrets/${set}`;
const slow = { timeout: 60_000 };

/** A node whose kubelet is late from the moment on that the mirror `first` is wired. */
async function lateNode(t: ExecutionContext, ports: string, options: NodeOptions = {}): Promise<AgentNode> {
  const node = agentNode(t, world, options);
  world.start({ NODE_DAEMONSETS: 'shared', NODE_PORTS: ports });
  await world.mirror('first', { upstreamUrl: 'first.example' });
  await wired('first');
  node.isLate = true;
  return node;
}

async function wired(name: string): Promise<void> {
  await eventually(async () => {
    const { status } = await world.get(pathsOf(name).mirror);
    const condition = status?.conditions?.find(({ type }: Live) => type === 'NodesWired');
    assert.equal(condition?.reason, 'Wired', JSON.stringify(condition));
  }, slow);
}

/** The Secret once its list has the mirror, or has it no more. */
async function secretWith(name: string, is: boolean): Promise<Live> {
  return await eventually(async () => {
    const secret = await world.get(secretPath);
    const { mirrors } = JSON.parse(Buffer.from(secret.data['mirrors.json'], 'base64').toString());
    assert.equal(
      mirrors.some((mirror: Live) => mirror.name === name),
      is,
    );
    return secret;
  }, slow);
}

/** Until the agent has made a whole pass from now on; times are told in seconds. */
async function passes(node: AgentNode): Promise<void> {
  const now = Date.now();
  await eventually(async () => assert.ok(Date.parse((await node.report(set)).at) > now + 2_000), slow);
}

test.serial(
  'A mirror that is added is wired and one that is deleted is taken back, whatever the kubelet brings and when',
  async (t) => {
    t.timeout(180_000);
    const node = await lateNode(t, '28460-28479');
    await world.mirror('second', { upstreamUrl: 'second.example' });
    await wired('second');
    t.regex(node.hosts(), /\tmirror-second\.example\t/);
    const between = await secretWith('second', true);
    await world.deleteMirror('second');
    t.notRegex(node.hosts(), /mirror-second/);
    node.bring(set, between);
    await passes(node);
    t.notRegex(node.hosts(), /mirror-second/, 'the list from before counts no more');
    t.regex(node.hosts(), /\tmirror-first\.example\t/);
    node.isLate = false;
    await world.deleteMirror('first');
  },
);

test.serial(
  'An agent that tells no version works on; one that wires a mirror that was let go meanwhile takes it back when it hears that',
  async (t) => {
    t.timeout(180_000);
    const node = await lateNode(t, '28480-28499', { isUnversioned: true });
    t.is((await node.report(set)).list, undefined);
    await world.mirror('second', { upstreamUrl: 'second.example' });
    const between = await secretWith('second', true);
    await world.deleteMirror('second');
    t.notRegex(node.hosts(), /mirror-second/, 'it never knew of it');
    node.bring(set, between);
    await eventually(() => assert.match(node.hosts(), /mirror-second/), slow);
    node.isLate = false;
    await eventually(() => assert.doesNotMatch(node.hosts(), /mirror-second/), slow);
    t.regex(node.hosts(), /\tmirror-first\.example\t/);
    await world.deleteMirror('first');
    t.notRegex(node.hosts(), /mirror-first/);
  },
);

test.serial('An operator that starts goes on with what was deleted before', async (t) => {
  t.timeout(180_000);
  const node = await lateNode(t, '28500-28519', { isUnversioned: true });
  await world.mirror('second', { upstreamUrl: 'second.example' });
  const between = await secretWith('second', true);
  await world.deleteMirror('second');
  const after = await secretWith('second', false);
  await world.stopOperators();
  world.start({ NODE_DAEMONSETS: 'shared', NODE_PORTS: '28500-28519' });
  await world.mirror('third', { upstreamUrl: 'third.example' });
  await secretWith('third', true);
  node.bring(set, between);
  await eventually(() => assert.match(node.hosts(), /mirror-second/), slow);
  node.isLate = false;
  await eventually(() => assert.doesNotMatch(node.hosts(), /mirror-second/), slow);
  const version = (secret: Live) =>
    JSON.parse(Buffer.from(secret.data['mirrors.json'], 'base64').toString()).version;
  t.true(version(await world.get(secretPath)) > version(after));
  for (const name of ['first', 'third']) await world.deleteMirror(name);
});
