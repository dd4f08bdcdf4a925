import assert from 'node:assert/strict';
import test, { type ExecutionContext } from 'ava';
import type { ListOptions } from '../../../../src/kube/client.ts';
import type { KubeObject } from '../../../../src/kube/object.ts';
import { Store } from '../../../../src/kube/store.ts';
import { createLogger } from '../../../../src/observe/log.ts';
import { LiveView } from '../../../../src/operator/live-view.ts';
import { type AskAgent, askAgent } from '../../../../src/operator/node-reports/ask-agent.ts';
import { NodeReports, type NodeReportsOptions } from '../../../../src/operator/node-reports/node-reports.ts';
import {
  agentPod,
  makeOperatorAuthority,
  nodeReport,
  startAgentServer,
} from '../../../support/agent-server.ts';
import { eventually } from '../../../support/eventually.ts';
import { settingsOf } from '../../resources/fixtures.ts';

/** Polls that go on as soon as they are done; the API server's part is played here, that of agents by real servers. */
async function scene(t: ExecutionContext, ask: AskAgent = askAgent, more: Partial<NodeReportsOptions> = {}) {
  const authority = await makeOperatorAuthority();
  const [daemonSets, secrets] = [new Store(), new Store()];
  const env = [{ name: 'NODE_PORT', value: '29001' }];
  const spec = { template: { spec: { containers: [{ name: 'a', env }] } } };
  const set = {
    apiVersion: 'apps/v1',
    kind: 'DaemonSet',
    metadata: { name: 'd', namespace: 'default' },
    spec,
  };
  daemonSets.put(set as KubeObject);
  const base64 = (text: string) => Buffer.from(text).toString('base64');
  secrets.put({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 'registry-mirror-ca', namespace: 'default' },
    data: { 'tls.crt': base64(authority.certificatePem), 'tls.key': base64(authority.keyPem) },
  } as KubeObject);
  const world = {
    pods: [] as KubeObject[],
    lists: [] as unknown[],
    fails: undefined as Error | undefined,
    changed: [] as string[],
    rounds: 0,
  };
  const clock = { offset: 0 };
  const reports = new NodeReports({
    client: {
      list: async (_type: unknown, options: ListOptions = {}) => {
        const { labelSelector, resourceVersion, limit = Infinity, continue: from = '0' } = options;
        world.lists.push({ labelSelector, resourceVersion });
        if (world.fails) throw world.fails;
        // What is in the server's memory comes in one answer.
        const end = resourceVersion === '0' ? Infinity : Number(from) + limit;
        const rest = end < world.pods.length ? { continue: `${end}` } : {};
        return { items: world.pods.slice(Number(from), end), resourceVersion: '1', ...rest } as never;
      },
    },
    settings: settingsOf(),
    views: { daemonSets: new LiveView(daemonSets), secrets: new LiveView(secrets) },
    changed: (mirror) => world.changed.push(mirror),
    logger: createLogger({ level: 'silent' }),
    ask,
    now: () => new Date(Date.now() + clock.offset),
    random: () => {
      world.rounds += 1;
      return 0;
    },
    pauseMs: { least: 1, most: 1 },
    ...more,
  });
  const stop = new AbortController();
  const start = () => {
    const ended = reports.run(stop.signal);
    t.teardown(async () => {
      stop.abort();
      await ended;
    });
  };
  const nextRound = async () => {
    const before = world.rounds;
    await eventually(() => assert.ok(world.rounds > before + 1));
  };
  return { authority, reports, world, clock, start, nextRound, daemonSets };
}

test('What agents say is known after a round, and a mirror is told of once for each change', async (t) => {
  const { authority, reports, world, start, nextRound } = await scene(t);
  const agent = await startAgentServer(t, { authority });
  world.pods = [agentPod('node-a', agent)];
  t.is(reports.of('hub'), undefined);
  start();
  await nextRound();
  t.like(reports.of('hub')?.[0], { node: 'node-a', state: 'heard' });
  t.true(reports.of('hub')?.[0]?.report?.complete);
  await nextRound();
  t.deepEqual(world.changed, ['hub']);
  agent.says = nodeReport({ complete: false });
  await eventually(() => assert.equal(world.changed.length, 2));
  t.deepEqual(world.lists[1], {
    labelSelector: 'app=docker-registry,component in (hostess-certificate,node-agent-shared)',
    resourceVersion: '0',
  });
  world.pods = [];
  await nextRound();
  t.deepEqual(reports.of('hub'), []);
});

test('An agent that answers nonsense is as good as silent, and comes back by itself', async (t) => {
  const { authority, reports, world, clock, start, nextRound } = await scene(t);
  const agent = await startAgentServer(t, { authority, says: '{}' });
  world.pods = [agentPod('node-a', agent)];
  start();
  await nextRound();
  t.is(reports.of('hub')?.[0]?.state, 'unheard');
  clock.offset += 121_000;
  await nextRound();
  t.is(reports.of('hub')?.[0]?.state, 'unreachable');
  agent.says = nodeReport();
  await nextRound();
  t.is(reports.of('hub')?.[0]?.state, 'heard');
});

test('An operator that may not list pods knows of no node, and does not say that it will soon', async (t) => {
  const { reports, world, start, nextRound } = await scene(t);
  world.fails = new Error('forbidden');
  start();
  await nextRound();
  t.deepEqual(reports.of('hub'), []);
  world.fails = undefined;
  await nextRound();
  t.deepEqual(reports.of('hub'), []);
});

test('Who asked before the first round is told when it is over, also where there is no agent', async (t) => {
  const { reports, world, start, nextRound, daemonSets } = await scene(t);
  daemonSets.remove('default/d');
  t.is(reports.of('hub'), undefined);
  start();
  await nextRound();
  t.deepEqual(world.changed, ['hub']);
  await nextRound();
  t.deepEqual(world.changed, ['hub']);
});

test('While no agent can be asked, no request is made', async (t) => {
  const { reports, world, start, nextRound, daemonSets } = await scene(t);
  daemonSets.remove('default/d');
  start();
  await nextRound();
  t.deepEqual(world.lists, []);
  t.deepEqual(reports.of('hub'), []);
});

test('Fifty are asked at a time, and those that do not answer do not keep a round from ending', async (t) => {
  let [running, most, asked] = [0, 0, 0];
  const one = await scene(t, async () => {
    running += 1;
    asked += 1;
    most = Math.max(most, running);
    // Fifty together take the time that one agent has.
    one.clock.offset += 2_000 / 50;
    await new Promise((resolve) => setImmediate(resolve));
    running -= 1;
    throw new Error('timed out');
  });
  one.world.pods = Array.from({ length: 2_000 }, (_, index) =>
    agentPod(`n${index}`, { address: '10.0.0.1', port: 1 }),
  );
  one.start();
  await one.nextRound();
  t.is(most, 50);
  t.true(asked >= 500 && asked < 3 * 600, `${asked} in two or three rounds`);
});

test('While no list of agents could be read nobody can say that nothing of a mirror is left on nodes', async (t) => {
  const { reports, world, start, nextRound } = await scene(t);
  world.fails = new Error('the API server is away');
  start();
  await nextRound();
  t.is(reports.holding('hub', { at: 0 }), undefined);
  world.fails = undefined;
  await nextRound();
  t.deepEqual(reports.holding('hub', { at: 0 }), { nodes: [], of: 0 });
});

test('Where no node is known, agents are looked for once in each version of their DaemonSet', async (t) => {
  const { authority, reports, world, start, nextRound } = await scene(t);
  start();
  await nextRound();
  t.is(reports.of('hub', { version: '1' }), undefined);
  await eventually(() => assert.deepEqual(world.changed, ['hub']));
  t.deepEqual(reports.of('hub', { version: '1' }), []);
  world.pods = [agentPod('node-a', await startAgentServer(t, { authority }))];
  t.is(reports.of('hub', { version: '2' }), undefined, 'its pods may be new');
  await eventually(() => assert.equal(reports.of('hub', { version: '2' })?.length, 1));
});

test('A shared agent is brought a new list at once and heard soon after, without a round', async (t) => {
  const settings = settingsOf({ NODE_DAEMONSETS: 'shared', NODE_PORTS: '28730-28740' });
  const pauseMs = { least: 30_000, most: 30_000 };
  const { authority, reports, world, start } = await scene(t, askAgent, { settings, pauseMs });
  const says = { ...nodeReport(), owners: [], list: 7 };
  const agent = await startAgentServer(t, {
    ...{ authority, names: ['registry-mirror.node'], port: 28_730, says },
  });
  const labels = { component: 'node-agent-shared', mirror: undefined };
  world.pods = [agentPod('node-a', agent, { labels })];
  reports.deliver({ version: 7, gone: [], files: {} });
  start();
  await eventually(() => assert.ok(world.changed.includes('hub')));
  t.deepEqual(agent.lists, [], 'it has that');
  const rounds = world.rounds;
  const files = { 'mirrors.json': 'LIST', 'a.pem': 'A' };
  reports.deliver({ version: 8, gone: [], files });
  await eventually(() => assert.deepEqual(agent.lists[0], { files }));
  agent.says = { ...nodeReport({ complete: false }), owners: [], list: 8 };
  await eventually(() => assert.equal(reports.of('hub')?.[0]?.report?.complete, false));
  t.deepEqual(world.changed, ['hub', 'hub']);
  t.is(world.rounds, rounds);
});

test('An agent that takes no list is told of once, and is no less heard', async (t) => {
  const settings = settingsOf({ NODE_DAEMONSETS: 'shared', NODE_PORTS: '28741-28750' });
  const { authority, reports, world, start, nextRound } = await scene(t, askAgent, { settings });
  const says = { ...nodeReport(), owners: ['hub'], list: 7 };
  const agent = await startAgentServer(t, {
    ...{ authority, names: ['registry-mirror.node'], port: 28_741, says },
  });
  agent.listStatus = 404;
  world.pods = [agentPod('node-a', agent, { labels: { component: 'node-agent-shared', mirror: undefined } })];
  reports.deliver({ version: 8, gone: [], files: {} });
  start();
  await eventually(() => assert.ok(agent.lists.length > 1));
  await nextRound();
  t.is(reports.of('hub')?.[0]?.state, 'heard');
  t.deepEqual(reports.holding('hub', { at: 0, version: 8 }), { nodes: ['node-a'], of: 1 });
});

test('Where an agent is to be that is not known yet, it is looked for at once, and then soon', async (t) => {
  const settings = settingsOf({ NODE_DAEMONSETS: 'shared' });
  const { reports, world, clock, start } = await scene(t, askAgent, {
    ...{ settings, pauseMs: { least: 3_600_000, most: 3_600_000 } },
  });
  const labels = { component: 'node-agent-shared', mirror: undefined };
  world.pods = [agentPod('node-a', {}, { labels })];
  start();
  await eventually(() => assert.equal(reports.agents().length, 1));
  clock.offset += 61_000;
  reports.expect(1);
  world.pods.push(agentPod('node-b', {}, { labels }));
  t.is(world.lists.length, 1, 'all are known');
  reports.expect(2);
  await eventually(() => assert.equal(reports.agents().length, 2));
  world.pods = world.pods.slice(1);
  reports.expect(3);
  await new Promise((resolve) => setTimeout(resolve, 50));
  t.is(world.lists.length, 2, 'however often that is told');
});

test('Few agents are listed from the server’s memory, many in pages, and none is missed', async (t) => {
  const { reports, world, start, nextRound } = await scene(t, async () =>
    Promise.reject(new Error('refused')),
  );
  const pods = (count: number) =>
    Array.from({ length: count }, (_, at) => agentPod(`n${at}`, {})) as KubeObject[];
  world.pods = pods(2);
  start();
  await nextRound();
  t.like(world.lists.at(-1), { resourceVersion: '0' });
  world.pods = pods(1201);
  await nextRound();
  await nextRound();
  const before = world.lists.length;
  await nextRound();
  t.is(reports.agents().length, 1201);
  const since = world.lists.slice(before);
  t.true(since.length >= 3 && since.every((list) => (list as ListOptions).resourceVersion === undefined));
});
