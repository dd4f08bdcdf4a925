import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import test from 'ava';
import fc from 'fast-check';
import { createClient } from '../../../src/kube/client.ts';
import type { KubeObject } from '../../../src/kube/object.ts';
import { Reflector } from '../../../src/kube/reflector.ts';
import type { ResourceType } from '../../../src/kube/resource-type.ts';
import { Store } from '../../../src/kube/store.ts';
import { eventually } from '../../support/eventually.ts';
import { type FakeApiServer, type Fault, startFakeApiServer } from '../../support/fake-api-server.ts';
import { StoreReplica } from '../../support/store-replica.ts';

const things: ResourceType = {
  group: 'x.test',
  version: 'v1',
  plural: 'things',
  kind: 'Thing',
  namespaced: false,
};

type Step = (fake: FakeApiServer) => unknown;

const name = fc.constantFrom('a', 'b', 'c', 'd');
const change: fc.Arbitrary<Step> = fc.oneof(
  name.map((one) => (fake: FakeApiServer) => write(fake, one)),
  name.map((one) => (fake: FakeApiServer) => erase(fake, one)),
);
const fault: fc.Arbitrary<Fault> = fc.constantFrom<Fault>(
  { status: 500 },
  { status: 410 },
  { status: 429, retryAfter: '0' },
  { status: 403 },
  { status: 404 },
  { status: 200, body: '<html>' },
  { error: 410 },
  { error: 500 },
  'reset',
  'end',
  'broken',
  'cut',
);
const trouble: fc.Arbitrary<Step> = fc.oneof(
  fc.array(fault, { minLength: 1, maxLength: 4 }).map((faults) => (fake: FakeApiServer) => fake.fail(faults)),
  fc.constant((fake: FakeApiServer) => fake.endWatches()),
  fc.constant((fake: FakeApiServer) => fake.cutWatches()),
  fc.constant((fake: FakeApiServer) => fake.breakWatches()),
  fc.constant((fake: FakeApiServer) => fake.silenceWatches()),
  fc.constant((fake: FakeApiServer) => fake.compact()),
  fc.constant((fake: FakeApiServer) => fake.restart(2)),
  fc.constant((fake: FakeApiServer) => toggle(fake)),
);

/** Some steps come in one go, others after the reflector has had time to notice the one before. */
const paced = fc
  .tuple(fc.oneof(change, change, trouble), fc.constantFrom(0, 0, 3, 12))
  .map(([step, ms]) => async (fake: FakeApiServer) => {
    await step(fake);
    if (ms > 0) await delay(ms);
  });

test('whatever changes and fails, the store becomes what the server has and a replay equals it', async (t) => {
  t.timeout(120_000);
  await fc.assert(
    fc.asyncProperty(fc.array(paced, { maxLength: 30 }), async (steps) => {
      const fake = await startFakeApiServer([things]);
      const client = createClient(fake.connection(), { userAgent: 'test' });
      const stop = new AbortController();
      const store = new Store({ indexes: { name: ({ metadata }) => [metadata.name] } });
      const replica = new StoreReplica(store);
      const timing = { basePauseMs: 1, missingPauseMs: 2, healthyMs: 20, watchMs: 60, graceMs: 20 };
      const reflector = new Reflector({ client, type: things, store, maxPauseMs: 5, timing });
      const run = reflector.run(stop.signal);
      try {
        await reflector.whenSynced();
        for (const step of steps) await step(fake);
        if (!served(fake)) fake.addType(things);
        write(fake, 'last');
        await eventually(() => converged(fake, store, replica), { interval: 3 });
      } finally {
        stop.abort();
        await run;
        await client.close();
        await fake.stop();
      }
    }),
    { numRuns: 150 },
  );
  t.pass();
});

function converged(fake: FakeApiServer, store: Store, replica: StoreReplica): void {
  const expected = byName(fake.state.list(things));
  assert.deepEqual(byName(store.list()), expected);
  assert.deepEqual(byName([...replica.objects.values()]), expected);
  assert.deepEqual(replica.contradictions, []);
  for (const { metadata } of expected) assert.equal(store.byIndex('name', metadata.name).length, 1);
}

function write(fake: FakeApiServer, one: string): void {
  if (!served(fake)) return;
  const object: KubeObject = { apiVersion: 'x.test/v1', kind: 'Thing', metadata: { name: one } };
  if (fake.state.list(things).some(({ metadata }) => metadata.name === one))
    fake.state.update(things, object);
  else fake.state.create(things, object);
}

function erase(fake: FakeApiServer, one: string): void {
  if (!served(fake)) return;
  if (fake.state.list(things).some(({ metadata }) => metadata.name === one)) fake.state.delete(things, one);
}

function toggle(fake: FakeApiServer): void {
  if (served(fake)) fake.removeType(things);
  else fake.addType(things);
}

function served(fake: FakeApiServer): boolean {
  return fake.state.findType(things.group, things.version, things.plural) !== undefined;
}

function byName(objects: KubeObject[]): KubeObject[] {
  return objects.sort((one, other) => (one.metadata.name < other.metadata.name ? -1 : 1));
}
