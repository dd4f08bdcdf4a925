import test from 'ava';
import type { KubeObject } from '../../../../src/kube/object.ts';
import { Store } from '../../../../src/kube/store.ts';
import { createLogger } from '../../../../src/observe/log.ts';
import { LiveView } from '../../../../src/operator/live-view.ts';
import type { AgentRequest } from '../../../../src/operator/node-reports/ask-agent.ts';
import type { NodeOfMirror } from '../../../../src/operator/node-reports/known-agents.ts';
import { restartLimitMs } from '../../../../src/operator/restarts/plan.ts';
import { RestartPermits } from '../../../../src/operator/restarts/restart-permits.ts';
import { mirrorOnNode } from '../../../support/agent-server.ts';
import { mirrorOf, settingsOf } from '../../resources/fixtures.ts';
import { heard } from '../node-reports/nodes.ts';

const { signal } = new AbortController();

/** Permits of a mirror of these nodes; agents answer as a test says. */
function scene(nodes: Record<string, 'waiting' | 'coming' | 'live'>) {
  const world = { nodes, now: Date.parse('2026-01-01T00:00:00Z'), status: 202 as number | Error };
  const asked: AgentRequest[] = [];
  const changed: string[] = [];
  const mirrors = new Store();
  const put = (generation: number, containerd = 'configureAndRestart') => {
    const mirror = mirrorOf({ upstreamUrl: 'quay.io', nodes: { containerd } }, { generation });
    mirrors.put(mirror as unknown as KubeObject);
  };
  put(1);
  const all = (): NodeOfMirror[] =>
    Object.entries(world.nodes).map(([name, state]) => {
      const [runtime] = mirrorOnNode().runtimes;
      const needed = state === 'waiting' ? { restartNeeded: true } : {};
      const told = heard(name, { runtimes: [{ ...runtime!, live: state === 'live', ...needed }] });
      const endpoint = { address: '10.0.0.1', port: 1, serverName: 's' };
      return { ...told, agent: { ...told.agent, endpoint }, reportedAt: world.now };
    });
  const permits = new RestartPermits({
    mirrors: new LiveView(mirrors),
    settings: settingsOf(),
    reports: {
      of: () => all(),
      agents: () => all().map(({ agent }) => agent),
      ask: async (_endpoint, request) => {
        asked.push(request);
        if (world.status instanceof Error) throw world.status;
        return { status: world.status, text: '' };
      },
    },
    changed: (mirror) => changed.push(mirror),
    logger: createLogger({ level: 'silent' }),
    now: () => new Date(world.now),
  });
  const pass = async (ms = 20_000) => {
    world.now += ms;
    await permits.give(signal);
  };
  return { world, asked, changed, permits, pass, put };
}

test('Nodes restart one after the other, each when the one before is live', async (t) => {
  const { world, asked, permits, pass } = scene({ a: 'waiting', b: 'waiting' });
  await pass();
  t.deepEqual(asked, [{ method: 'POST', path: '/restart', body: { mirror: 'hub', runtime: 'containerd' } }]);
  t.deepEqual([...permits.awaited()], ['a']);
  world.nodes['a'] = 'coming';
  await pass();
  t.is(asked.length, 1);
  world.nodes['a'] = 'live';
  await pass();
  t.is(asked.length, 2);
  t.deepEqual([...permits.awaited()], ['b']);
});

test('A node that does not come back stops the mirror, which is said until it does', async (t) => {
  const { world, asked, changed, permits, pass } = scene({ a: 'waiting', b: 'waiting' });
  await pass();
  world.nodes['a'] = 'coming';
  await pass(restartLimitMs);
  const [obstacle] = permits.obstacles('hub');
  t.is(obstacle?.reason, 'ContainerdNotLive');
  t.regex(obstacle?.message ?? '', /within 5 minutes on: a; no other node is restarted/);
  t.deepEqual(permits.obstacles('quay'), []);
  await pass();
  t.deepEqual(changed, ['hub'], 'once');
  t.is(asked.length, 1);
  world.nodes['a'] = 'live';
  await pass();
  t.deepEqual(changed, ['hub', 'hub']);
  t.deepEqual(permits.obstacles('hub'), []);
  t.is(asked.length, 2);
});

test('A changed mirror begins anew, and one that wants no restarts gets none', async (t) => {
  const { world, asked, permits, pass, put } = scene({ a: 'waiting', b: 'waiting' });
  await pass();
  world.nodes['a'] = 'coming';
  await pass(restartLimitMs);
  put(2);
  await pass();
  t.deepEqual(permits.obstacles('hub'), []);
  t.is(asked.length, 2);
  put(3, 'report');
  world.nodes = { c: 'waiting' };
  await pass(restartLimitMs);
  t.is(asked.length, 2);
});

test('An agent that refuses is not waited for; one that does not answer is, since it may have heard', async (t) => {
  const { world, asked, permits, pass } = scene({ a: 'waiting', b: 'waiting' });
  world.status = 409;
  await pass();
  t.deepEqual([...permits.awaited()], []);
  world.status = new Error('timed out');
  await pass();
  t.is(asked.length, 2);
  t.deepEqual([...permits.awaited()], ['b'], 'the one that refused comes later');
  await pass();
  t.is(asked.length, 2);
});

test('A clock that is set back keeps no node waiting for longer than five minutes', async (t) => {
  const { world, asked, pass } = scene({ a: 'waiting', b: 'waiting', c: 'coming' });
  await pass();
  t.is(asked.length, 0, 'one may be restarting, by another leader’s permit');
  await pass(-3_600_000);
  await pass(restartLimitMs);
  t.is(asked.length, 1);
  await pass(-3_600_000);
  Object.assign(world.nodes, { a: 'live', c: 'live' });
  await pass();
  await pass();
  t.is(asked.length, 2);
});

test('A node that came back late, after the clock was set back, is stuck no longer', async (t) => {
  const { world, permits, pass } = scene({ a: 'waiting' });
  await pass();
  world.nodes['a'] = 'coming';
  await pass(restartLimitMs);
  t.is(permits.obstacles('hub').length, 1);
  world.nodes['a'] = 'live';
  await pass(-3_600_000);
  await pass();
  t.deepEqual(permits.obstacles('hub'), []);
});
