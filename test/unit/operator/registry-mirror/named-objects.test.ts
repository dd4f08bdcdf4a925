import test from 'ava';
import type { KubeClient } from '../../../../src/kube/client.ts';
import { NamedObjects } from '../../../../src/operator/registry-mirror/named-objects.ts';
import { mirrorOf, settingsOf } from '../../resources/fixtures.ts';

const { signal } = new AbortController();

/** On an API server that has no PriorityClass but those of `classes`. */
function named(environment: Record<string, string>, classes: readonly string[] = []) {
  const asked: string[] = [];
  const getOrUndefined = async (_type: unknown, { name }: { name: string }) => {
    asked.push(name);
    return classes.includes(name) ? { metadata: { name } } : undefined;
  };
  const client = { getOrUndefined } as unknown as KubeClient;
  return { asked, objects: new NamedObjects(client, settingsOf(environment)) };
}

test('A class of NODE_PRIORITY_CLASS that does not exist is told, since every node agent is refused for it', async (t) => {
  const mirror = mirrorOf({ upstreamUrl: 'docker.io' });
  const { objects } = named({ NODE_PRIORITY_CLASS: 'agents' });
  const missing = await objects.missingNodeClass(mirror, signal);
  t.like(missing, { reason: 'PriorityClassNotFound' });
  t.regex(missing?.message ?? '', /agents of NODE_PRIORITY_CLASS/);
  const there = named({ NODE_PRIORITY_CLASS: 'agents' }, ['agents']);
  t.is(await there.objects.missingNodeClass(mirror, signal), undefined);
});

test('Nobody is asked for a class that each cluster has, nor for one that the mirror’s own replaces', async (t) => {
  const { objects, asked } = named({});
  t.is(await objects.missingNodeClass(mirrorOf({ upstreamUrl: 'docker.io' }), signal), undefined);
  for (const priorityClass of ['own', '']) {
    const mirror = mirrorOf({ upstreamUrl: 'docker.io', priorityClass });
    t.is(await named({ NODE_PRIORITY_CLASS: 'agents' }).objects.missingNodeClass(mirror, signal), undefined);
  }
  t.deepEqual(asked, []);
});
