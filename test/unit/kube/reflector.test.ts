import assert from 'node:assert/strict';
import test, { type ExecutionContext } from 'ava';
import { createClient } from '../../../src/kube/client.ts';
import type { Connection } from '../../../src/kube/connection.ts';
import type { KubeObject } from '../../../src/kube/object.ts';
import { Reflector, type ReflectorState, type ReflectorTiming } from '../../../src/kube/reflector.ts';
import type { ResourceType } from '../../../src/kube/resource-type.ts';
import { Store } from '../../../src/kube/store.ts';
import { eventually } from '../../support/eventually.ts';
import { type FakeRequest, type Fault, startFakeApiServer } from '../../support/fake-api-server.ts';
import { StoreReplica } from '../../support/store-replica.ts';

const things: ResourceType = {
  group: 'x.test',
  version: 'v1',
  plural: 'things',
  kind: 'Thing',
  namespaced: false,
};

test('a list that fails again and again is tried until it succeeds', async (t) => {
  const { fake, start, matches } = await setUp(t);
  fake.state.create(things, thing('a'));
  fake.fail([{ status: 500 }, 'reset', { status: 503 }, { status: 200, body: '{"items"' }], lists);
  const { reflector, states } = start();
  await reflector.whenSynced();
  await matches();
  await eventually(() => assert.deepEqual(states, ['retrying', 'synced']));
});

test('a 410 by HTTP status and one by ERROR event both lead to a new list', async (t) => {
  for (const fault of [{ status: 410 }, { error: 410 }] as const) {
    const { fake, start, matches, count } = await setUp(t);
    start();
    await matches();
    fake.fail([fault], watches);
    fake.endWatches();
    await eventually(() => assert.equal(count('list'), 2));
    fake.state.create(things, thing('a'));
    await matches();
  }
});

test('any other ERROR event leads to a new list as well', async (t) => {
  const { fake, start, matches, count } = await setUp(t);
  fake.fail([{ error: 500 }], watches);
  start();
  await eventually(() => assert.equal(count('list'), 2));
  fake.state.create(things, thing('a'));
  await matches();
});

test('a watch that ends is resumed where it was, without a list', async (t) => {
  const { fake, start, matches, count, requests } = await setUp(t);
  start();
  await matches();
  fake.state.create(things, thing('a'));
  await matches();
  fake.endWatches();
  fake.state.create(things, thing('b'));
  await matches();
  t.is(count('list'), 1);
  t.is(requests('watch').at(-1)?.query.get('resourceVersion'), '1001');
});

test('a bookmark moves on where to resume', async (t) => {
  const { fake, start, count, requests, watched } = await setUp(t);
  start({ watchMs: 1_000 });
  await watched();
  fake.state.compact();
  const version = String(fake.state.version);
  await eventually(() => assert.equal(requests('watch').at(-1)?.query.get('resourceVersion'), version));
  t.is(count('list'), 1);
});

test('a broken line, or half a line, costs no event', async (t) => {
  const { fake, start, matches, watched } = await setUp(t);
  const { replica } = start();
  await watched();
  fake.breakWatches();
  fake.state.create(things, thing('a'));
  await matches();
  await watched();
  fake.cutWatches();
  fake.state.create(things, thing('b'));
  await matches();
  t.deepEqual(replica.log, ['ADDED a', 'ADDED b']);
});

test('a line that is broken each time is got around by a list', async (t) => {
  const { fake, start, matches, count } = await setUp(t);
  fake.fail(['broken', 'broken', 'broken'], watches);
  start();
  await eventually(() => assert.equal(count('list'), 2));
  fake.state.create(things, thing('a'));
  await matches();
});

test('a silent connection is given up after the time the server was asked to end it', async (t) => {
  const { fake, start, matches, watched } = await setUp(t);
  const { states } = start({ watchMs: 200, graceMs: 100 });
  await watched();
  fake.silenceWatches();
  fake.state.create(things, thing('a'));
  await matches();
  t.true(states.includes('retrying'));
});

test('an expired token is replaced at once', async (t) => {
  let token = 'old';
  const { fake, start, matches, watched } = await setUp(t, async (options) => {
    if (options?.fresh) token = 'new';
    return `Bearer ${token}`;
  });
  fake.authorization = 'Bearer old';
  const { states } = start();
  await watched();
  fake.authorization = 'Bearer new';
  fake.endWatches();
  fake.state.create(things, thing('a'));
  await matches();
  t.deepEqual(states, ['synced']);
});

test('Retry-After is kept to, up to the longest pause', async (t) => {
  const { fake, start, times } = await setUp(t);
  const busy: Fault = { status: 429, retryAfter: '1' };
  fake.fail([busy, { status: 503, retryAfter: '3600' }], lists);
  const { reflector } = start({}, 1_200);
  await reflector.whenSynced();
  const [first, second, third] = times('list') as [number, number, number];
  t.true(second - first >= 1_000, `${second - first}`);
  t.true(third - second >= 1_200 && third - second < 3_000, `${third - second}`);
});

test('a watch that ends at once again and again is asked for less and less', async (t) => {
  const { fake, start, times } = await setUp(t);
  fake.script = ({ verb }) => (verb === 'watch' ? 'end' : undefined);
  start({ basePauseMs: 20 }, 5_000);
  await eventually(() => assert.ok(times('watch').length >= 6));
  const at = times('watch');
  const last = (at[5] ?? 0) - (at[4] ?? 0);
  t.true(last >= (20 * 2 ** 4) / 2, `${last}`);
});

test('a missing permission is named once, is no reason to forget objects, and is seen when it comes', async (t) => {
  const { fake, start, matches, watched, count } = await setUp(t);
  fake.state.create(things, thing('a'));
  const { states, store, reflector } = start();
  await watched();
  fake.script = () => ({ status: 403 });
  fake.endWatches();
  const before = count('watch') + count('list');
  await eventually(() => assert.ok(count('watch') + count('list') > before + 3));
  t.deepEqual(states, ['synced', 'retrying', 'forbidden']);
  t.is(reflector.state, 'forbidden');
  t.is(store.size, 1);
  fake.script = () => undefined;
  await matches();
  await eventually(() => assert.deepEqual(states, ['synced', 'retrying', 'forbidden', 'synced']));
});

test('with list allowed and watch forbidden the store is still kept up', async (t) => {
  const { fake, start, matches } = await setUp(t);
  fake.script = ({ verb }) => (verb === 'watch' ? { status: 403 } : undefined);
  const { states } = start();
  await matches();
  await eventually(() => assert.deepEqual(states, ['synced', 'retrying', 'forbidden']));
  fake.state.create(things, thing('a'));
  await matches();
  t.deepEqual(states, ['synced', 'retrying', 'forbidden']);
});

test('two refusals where there were rights are an API server that starts, and no missing permission', async (t) => {
  const { fake, start, matches, watched, count } = await setUp(t);
  const { states } = start();
  await watched();
  fake.fail([{ status: 403 }, { status: 403 }], watches);
  const before = count('watch');
  fake.endWatches();
  await eventually(() => assert.ok(count('watch') >= before + 3));
  await matches();
  await eventually(() => assert.equal(states.at(-1), 'synced'));
  t.deepEqual(states, ['synced', 'retrying', 'synced']);
});

test('what an unknown type had says nothing until it is listed again, whatever else goes wrong meanwhile', async (t) => {
  const { fake, start, matches, watched, count } = await setUp(t);
  fake.state.create(things, thing('a'));
  const { reflector, states } = start();
  await watched();
  t.true(reflector.isKnown);
  fake.script = () => ({ status: 404 });
  fake.endWatches();
  await eventually(() => assert.equal(states.at(-1), 'missing'));
  t.false(reflector.isKnown);
  const before = count('list');
  fake.script = () => ({ status: 503 });
  await eventually(() => assert.ok(count('list') > before + 1));
  t.is(reflector.state, 'retrying');
  t.false(reflector.isKnown);
  fake.script = () => undefined;
  await matches();
  await eventually(() => assert.ok(reflector.isKnown));
});

test('one 404 does not empty the store, two do', async (t) => {
  const { fake, start, matches, watched, count } = await setUp(t);
  fake.state.create(things, thing('a'));
  const { replica, states } = start();
  await watched();
  fake.fail([{ status: 404 }], watches);
  fake.endWatches();
  await eventually(() => assert.equal(count('list'), 2));
  await watched();
  t.deepEqual(replica.log, ['ADDED a']);
  fake.script = () => ({ status: 404 });
  fake.endWatches();
  await eventually(() => assert.equal(states.at(-1), 'missing'));
  t.deepEqual(replica.log, ['ADDED a', 'DELETED a']);
  fake.script = () => undefined;
  await matches();
});

test('a request that hangs is ended by an abort, and run resolves', async (t) => {
  const { fake, start, stop, count } = await setUp(t);
  fake.script = () => 'hang';
  const { run, reflector } = start();
  await eventually(() => assert.equal(count('list'), 1));
  stop();
  await run;
  t.false(reflector.synced);
  await t.throwsAsync(reflector.whenSynced(AbortSignal.abort(new Error('stopped'))), { message: 'stopped' });
});

function lists({ verb }: FakeRequest): boolean {
  return verb === 'list';
}

function watches({ verb }: FakeRequest): boolean {
  return verb === 'watch';
}

function thing(name: string): KubeObject {
  return { apiVersion: 'x.test/v1', kind: 'Thing', metadata: { name } };
}

async function setUp(t: ExecutionContext, authorization?: Connection['authorization']) {
  const fake = await startFakeApiServer([things]);
  const client = createClient(fake.connection(authorization), { userAgent: 'test' });
  const stop = new AbortController();
  const store = new Store();
  const replica = new StoreReplica(store);
  t.teardown(async () => {
    stop.abort();
    await client.close();
    await fake.stop();
  });

  function start(timing: Partial<ReflectorTiming> = {}, maxPauseMs = 60) {
    const states: ReflectorState[] = [];
    const reflector = new Reflector({
      client,
      type: things,
      store,
      maxPauseMs,
      onState: (state) => states.push(state),
      timing: { basePauseMs: 5, missingPauseMs: 20, ...timing },
    });
    return { reflector, states, replica, store, run: reflector.run(stop.signal) };
  }

  const requests = (verb: FakeRequest['verb']) => fake.requests.filter((request) => request.verb === verb);
  return {
    fake,
    start,
    requests,
    stop: () => stop.abort(),
    count: (verb: FakeRequest['verb']) => requests(verb).length,
    times: (verb: FakeRequest['verb']) => requests(verb).map(({ at }) => at),
    watched: () => eventually(() => assert.equal(fake.watchers, 1), { interval: 2 }),
    async matches() {
      const held = () => sorted([...replica.objects.values()]);
      const isCurrent = () => assert.deepEqual(sorted(store.list()), sorted(fake.state.list(things)));
      await eventually(isCurrent, { interval: 5 });
      t.deepEqual(held(), sorted(store.list()));
      t.deepEqual(replica.contradictions, []);
    },
  };
}

function sorted(objects: KubeObject[]): KubeObject[] {
  return objects.sort((one, other) => (one.metadata.name < other.metadata.name ? -1 : 1));
}
