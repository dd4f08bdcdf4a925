/** What client, reflector and elector promise, on any API server: run on the fake one and on the real one. */
import assert from 'node:assert/strict';
import type { ExecutionContext, TestFn } from 'ava';
import { createClient, type KubeClient } from '../../src/kube/client.ts';
import type { Connection } from '../../src/kube/connection.ts';
import { ApiError } from '../../src/kube/errors.ts';
import { LeaderElector } from '../../src/kube/leader-election.ts';
import { leaseType } from '../../src/kube/lease.ts';
import type { KubeObject } from '../../src/kube/object.ts';
import { Reflector, type ReflectorState } from '../../src/kube/reflector.ts';
import { apiVersionOf, type ResourceType } from '../../src/kube/resource-type.ts';
import { Store } from '../../src/kube/store.ts';
import { eventually } from './eventually.ts';
import { StoreReplica } from './store-replica.ts';
import { startTcpProxy } from './tcp-proxy.ts';

/** The type the cases work with: namespaced, with any `spec`. */
export const gadgetType: ResourceType = {
  group: 'conformance.test',
  version: 'v1',
  plural: 'gadgets',
  kind: 'Gadget',
  namespaced: true,
};

/** A server to run the cases on; it serves `gadgetType`, leases and a namespace `default`. */
export interface ConformanceServer {
  port: number;
  /** The connection to the server, or to whatever listens on `port` and passes on to it. */
  connection(port: number): Connection;
  installType(): Promise<void>;
  removeType(): Promise<void>;
  /** Makes all resourceVersions handed out so far expire. */
  compact(): Promise<void>;
  /** Ends the server without warning and starts it after `gapMs`. */
  crash(gapMs: number): Promise<void>;
}

const timeout = 30_000;
const soon = { timeout, interval: 20 };

/** Declares the cases; `server` is called when they run. */
export function conformance(test: TestFn, server: () => ConformanceServer): void {
  const title = (text: string) => `conformance: ${text}`;

  test.serial(
    title('a created object is read back, listed with its kind, and absent once deleted'),
    async (t) => {
      const { client } = await setUp(t, server());
      const created = await client.create(gadgetType, gadget('a', 1));
      t.deepEqual(await client.get(gadgetType, key('a')), created);
      const { items } = await client.list(gadgetType, { namespace: 'default' });
      t.like(items[0], { apiVersion: 'conformance.test/v1', kind: 'Gadget', spec: { size: 1 } });
      t.true(await client.delete(gadgetType, key('a')));
      t.false(await client.delete(gadgetType, key('a')));
      t.is(await client.getOrUndefined(gadgetType, key('a')), undefined);
      await t.throwsAsync(client.get(gadgetType, key('a')), {
        instanceOf: ApiError,
        message: /^GET .*gadgets\/a: 404/,
      });
    },
  );

  test.serial(title('a second creation is alreadyExists and a stale update is a conflict'), async (t) => {
    const { client } = await setUp(t, server());
    const created = await client.create(gadgetType, gadget('a', 1));
    const again = await failure(client.create(gadgetType, gadget('a', 1)));
    t.like(again, { alreadyExists: true, conflict: false });
    await client.update(gadgetType, { ...created, spec: { size: 2 } });
    const stale = await failure(client.update(gadgetType, { ...created, spec: { size: 3 } }));
    t.like(stale, { alreadyExists: false, conflict: true });
  });

  test.serial(title('what was there and what comes, changes and goes reaches the store'), async (t) => {
    const { client, start } = await setUp(t, server());
    await client.create(gadgetType, gadget('before', 1));
    const { reflector, replica, matches } = start();
    await reflector.whenSynced(AbortSignal.timeout(timeout));
    t.deepEqual(replica.log, ['ADDED default/before']);
    const after = await client.create(gadgetType, gadget('after', 1));
    await client.update(gadgetType, { ...after, spec: { size: 2 } });
    await client.delete(gadgetType, key('before'));
    await matches();
    t.deepEqual(replica.log.slice(1), [
      'ADDED default/after',
      'MODIFIED default/after',
      'DELETED default/before',
    ]);
  });

  test.serial(title('a crash of the server costs no event and repeats none'), async (t) => {
    const { client, start } = await setUp(t, server());
    await client.create(gadgetType, gadget('kept', 1));
    const { replica, matches } = start();
    await matches();
    await server().crash(200);
    await eventually(() => client.create(gadgetType, gadget('new', 1)), soon);
    await matches();
    t.deepEqual(replica.log, ['ADDED default/kept', 'ADDED default/new']);
  });

  test.serial(title('what happened while the connection was cut is made up for'), async (t) => {
    const { client, start, proxy } = await setUp(t, server());
    await client.create(gadgetType, gadget('kept', 1));
    await client.create(gadgetType, gadget('gone', 1));
    const { replica, matches, inState } = start();
    await matches();
    proxy.cut();
    await inState('retrying');
    await client.delete(gadgetType, key('gone'));
    await client.create(gadgetType, gadget('new', 1));
    proxy.restore();
    await matches();
    t.deepEqual(replica.log.slice(2).sort(), ['ADDED default/new', 'DELETED default/gone']);
  });

  test.serial(title('a connection whose other end went silent is given up and made up for'), async (t) => {
    const { client, start, proxy } = await setUp(t, server());
    await client.create(gadgetType, gadget('gone', 1));
    const { replica, matches } = start({ watchMs: 1_000, graceMs: 300 });
    await matches();
    proxy.freeze();
    await client.delete(gadgetType, key('gone'));
    proxy.restore();
    await matches();
    t.deepEqual(replica.log, ['ADDED default/gone', 'DELETED default/gone']);
  });

  test.serial(
    title('an expired resourceVersion leads to a new list that tells only differences'),
    async (t) => {
      const { client, start, proxy } = await setUp(t, server());
      await client.create(gadgetType, gadget('kept', 1));
      await client.create(gadgetType, gadget('gone', 1));
      const { replica, matches, inState } = start();
      await matches();
      proxy.cut();
      await inState('retrying');
      await client.delete(gadgetType, key('gone'));
      await server().compact();
      await eventually(() => client.create(gadgetType, gadget('new', 1)), soon);
      proxy.restore();
      await matches();
      t.deepEqual(replica.log.slice(2).sort(), ['ADDED default/new', 'DELETED default/gone']);
    },
  );

  test.serial(title('a type that is missing, comes, goes and comes again is followed'), async (t) => {
    const { client, start } = await setUp(t, server());
    await server().removeType();
    const { reflector, states, replica, matches, inState } = start();
    await reflector.whenSynced(AbortSignal.timeout(timeout));
    await inState('missing');
    await server().installType();
    await inState('synced');
    await client.create(gadgetType, gadget('a', 1));
    await matches();
    await server().removeType();
    await inState('missing');
    t.deepEqual(replica.log, ['ADDED default/a', 'DELETED default/a']);
    await server().installType();
    await inState('synced');
    await client.create(gadgetType, gadget('a', 2));
    await matches();
    t.deepEqual(replica.log.slice(2), ['ADDED default/a']);
    t.deepEqual(withoutRepeats(states), ['missing', 'synced', 'missing', 'synced']);
  });

  test.serial(title('a leader that stops gives the lease to the other at once'), async (t) => {
    const { candidate } = await setUp(t, server());
    const one = candidate('one');
    await eventually(() => assert.equal(one.leads, true), soon);
    const two = candidate('two');
    const stopped = performance.now();
    await one.stop();
    await eventually(() => assert.equal(two.leads, true), soon);
    t.true(performance.now() - stopped < electionTiming.durationMs);
    t.deepEqual(one.log, ['start', 'abort', 'stopped']);
  });

  test.serial(title('a leader that lost the server stops before the other starts'), async (t) => {
    const { candidate, proxy } = await setUp(t, server());
    const one = candidate('one', proxy.port);
    await eventually(() => assert.equal(one.leads, true), soon);
    const two = candidate('two');
    proxy.freeze();
    await eventually(() => assert.equal(two.leads, true), soon);
    t.deepEqual(one.log, ['start', 'abort', 'stopped']);
    t.true(one.stoppedAt < two.startedAt);
    const lost = two.startedAt - one.startedAt;
    t.true(lost < 2 * electionTiming.durationMs + 1_000, `took over after ${lost} ms`);
    proxy.restore();
    await two.stop();
    await eventually(() => assert.equal(one.leads, true), soon);
  });
}

const electionTiming = { durationMs: 3_000, deadlineMs: 1_500, renewMs: 500, retryMs: 200 };

async function setUp(t: ExecutionContext, server: ConformanceServer) {
  t.timeout(4 * timeout);
  const proxy = await startTcpProxy(server.port);
  const stop = new AbortController();
  const client = createClient(server.connection(server.port), { userAgent: 'conformance' });
  const running: Promise<unknown>[] = [];
  const clients = [client];
  t.teardown(async () => {
    stop.abort();
    await Promise.all(running);
    await server.installType();
    await removeAll(client);
    await Promise.all(clients.map((one) => one.close()));
    await proxy.stop();
  });
  await removeAll(client);

  function connect(port: number): KubeClient {
    const made = createClient(server.connection(port), { userAgent: 'conformance' });
    clients.push(made);
    return made;
  }

  function start(timing: { watchMs?: number; graceMs?: number } = {}) {
    const store = new Store();
    const replica = new StoreReplica(store);
    const states: ReflectorState[] = [];
    const reflector = new Reflector({
      client: connect(proxy.port),
      type: gadgetType,
      selection: { namespace: 'default' },
      store,
      maxPauseMs: 500,
      timing: { basePauseMs: 20, missingPauseMs: 100, ...timing },
      onState: (state) => states.push(state),
    });
    running.push(reflector.run(stop.signal));
    const matches = () => eventually(() => assertMatches(client, replica), soon);
    const inState = (state: ReflectorState) => eventually(() => assert.equal(reflector.state, state), soon);
    return { reflector, replica, states, matches, inState };
  }

  function candidate(identity: string, port = server.port) {
    const end = new AbortController();
    const state = { log: [] as string[], leads: false, startedAt: 0, stoppedAt: 0 };
    const elector = new LeaderElector({
      client: connect(port),
      namespace: 'default',
      name: 'conformance',
      identity,
      timing: electionTiming,
      async onStartedLeading(signal) {
        Object.assign(state, { leads: true, startedAt: performance.now() });
        state.log.push('start');
        await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
        Object.assign(state, { leads: false, stoppedAt: performance.now() });
        state.log.push('abort');
      },
      onStoppedLeading: () => state.log.push('stopped'),
    });
    const run = elector.run(AbortSignal.any([stop.signal, end.signal]));
    running.push(run);
    return Object.assign(state, {
      stop: () => {
        end.abort();
        return run;
      },
    });
  }

  return { client, proxy, start, candidate };
}

async function assertMatches(client: KubeClient, replica: StoreReplica): Promise<void> {
  const { items } = await client.listAll(gadgetType, { namespace: 'default' });
  const held = [...replica.objects.values()].sort(byName);
  assert.deepEqual(held, items.sort(byName));
  assert.deepEqual(replica.contradictions, []);
}

async function removeAll(client: KubeClient): Promise<void> {
  const { items } = await client.listAll(gadgetType, { namespace: 'default' });
  for (const { metadata } of items) await client.delete(gadgetType, key(metadata.name));
  await client.delete(leaseType, key('conformance'));
}

async function failure(promise: Promise<unknown>): Promise<ApiError> {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof ApiError);
  return error;
}

function byName(one: KubeObject, other: KubeObject): number {
  return one.metadata.name < other.metadata.name ? -1 : 1;
}

function withoutRepeats(states: ReflectorState[]): ReflectorState[] {
  const known = states.filter((state) => state === 'missing' || state === 'synced');
  return known.filter((state, index) => state !== known[index - 1]);
}

function key(name: string) {
  return { namespace: 'default', name };
}

function gadget(name: string, size: number): KubeObject {
  return {
    apiVersion: apiVersionOf(gadgetType),
    kind: 'Gadget',
    metadata: { name, namespace: 'default' },
    spec: { size },
  };
}
