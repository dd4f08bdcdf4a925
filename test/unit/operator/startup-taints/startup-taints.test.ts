import test from 'ava';
import { ApiError } from '../../../../src/kube/errors.ts';
import type { KubeObject } from '../../../../src/kube/object.ts';
import { Store } from '../../../../src/kube/store.ts';
import { createLogger } from '../../../../src/observe/log.ts';
import { LiveView } from '../../../../src/operator/live-view.ts';
import type { NodeOfMirror } from '../../../../src/operator/node-reports/known-agents.ts';
import { StartupTaints } from '../../../../src/operator/startup-taints/startup-taints.ts';
import { mirrorOf } from '../../resources/fixtures.ts';
import { heard } from '../node-reports/nodes.ts';

const { signal } = new AbortController();
const key = 'example.com/not-wired';

/** Mirror `hub` that names a taint, or none; the API server refuses as a test says. */
function scene(startupTaint: string | undefined) {
  const world = {
    nodes: [heard('a')] as NodeOfMirror[],
    tainted: ['a'],
    refused: {} as Record<string, number>,
    now: Date.parse('2026-01-02T00:00:00Z'),
  };
  const requests: string[] = [];
  const changed: string[] = [];
  const mirrors = new Store();
  const name = (taint: string | undefined) => {
    const spec = { upstreamUrl: 'quay.io', ...(taint !== undefined && { nodes: { startupTaint: taint } }) };
    mirrors.put(mirrorOf(spec) as unknown as KubeObject);
  };
  name(startupTaint);
  const answer = <T>(verb: string, result: T): T => {
    requests.push(verb);
    const status = world.refused[verb];
    if (status === undefined) return result;
    throw new ApiError(`${verb} nodes`, status);
  };
  const taints = new StartupTaints({
    client: {
      list: async () => {
        const items = ['a', 'b'].map((node) => ({
          metadata: { name: node },
          spec: { taints: world.tainted.includes(node) ? [{ key, effect: 'NoSchedule' }] : [] },
        }));
        return answer('list', { items, resourceVersion: '1' }) as never;
      },
      patch: async (_type: unknown, { name: node }: { name: string }) => {
        answer('patch', undefined);
        world.tainted = world.tainted.filter((one) => one !== node);
        return {} as never;
      },
    },
    mirrors: new LiveView(mirrors),
    reports: { of: () => world.nodes, agents: () => world.nodes.map(({ agent }) => agent) },
    changed: (mirror) => changed.push(mirror),
    logger: createLogger({ level: 'silent' }),
    now: () => new Date(world.now),
  });
  const pass = async () => {
    requests.length = 0;
    world.now += 20_000;
    await taints.remove(signal);
    return requests.join();
  };
  return { world, taints, changed, pass, name };
}

test('While no mirror names a taint, no node is asked for', async (t) => {
  const { pass, name } = scene(undefined);
  t.is(await pass(), '');
  name(key);
  t.is(await pass(), 'list,patch');
});

test('Nodes are listed as long as there is something to do, for each new agent, and every five minutes', async (t) => {
  const { world, pass } = scene(key);
  world.nodes = [heard('a', { complete: false })];
  const [agent] = world.nodes.map((one) => one.agent);
  world.nodes = world.nodes.map((one) => ({ ...one, agent: { ...agent!, createdAt: world.now } }));
  t.is(await pass(), 'list');
  t.is(await pass(), 'list', 'it is awaited');
  world.nodes = [heard('a')];
  t.is(await pass(), 'list,patch');
  t.is(await pass(), 'list', 'the patch is believed when it is seen');
  t.is(await pass(), '');
  world.nodes = [heard('a'), heard('b')];
  t.is(await pass(), 'list');
  t.is(await pass(), '');
  world.now += 300_000;
  t.is(await pass(), 'list');
});

test('A right that is missing is named, as long as it is', async (t) => {
  const { world, taints, changed, pass } = scene(key);
  world.refused = { list: 403 };
  await pass();
  await pass();
  t.regex(
    taints.obstacles('hub')[0]?.message ?? '',
    /^Taint example\.com\/not-wired .* no right to list nodes/,
  );
  t.is(taints.obstacles('hub')[0]?.reason, 'TaintNotRemoved');
  world.refused = { patch: 403 };
  await pass();
  t.regex(taints.obstacles('hub')[0]?.message ?? '', /no right to patch nodes/);
  world.tainted = [];
  await pass();
  t.deepEqual(taints.obstacles('hub'), []);
  t.is(changed.length, 4);
  t.deepEqual(taints.obstacles('quay'), []);
});

test('A node whose taints were changed meanwhile is tried again', async (t) => {
  const { world, taints, pass } = scene(key);
  for (const status of [409, 422, 404]) {
    world.refused = { patch: status };
    t.is(await pass(), 'list,patch');
  }
  world.refused = {};
  t.is(await pass(), 'list,patch');
  t.deepEqual(taints.obstacles('hub'), []);
});
