import assert from 'node:assert/strict';
import test, { type ExecutionContext } from 'ava';
import { createClient } from '../../../src/kube/client.ts';
import { LeaderElector, type LeaderElectorOptions } from '../../../src/kube/leader-election.ts';
import { leaseType } from '../../../src/kube/lease.ts';
import { eventually } from '../../support/eventually.ts';
import { startFakeApiServer } from '../../support/fake-api-server.ts';

const key = { namespace: 'ns', name: 'lease' };
/** Long enough for a machine that stands still for a second, which others beside it may make it do. */
const timing = { durationMs: 3_000, deadlineMs: 2_000, renewMs: 150, retryMs: 60 };
/** Giving a lease back may take `retryMs` as well. */
const patient = { ...timing, retryMs: 2_000 };

test('an idle leader writes once in each renewal period and reads nothing', async (t) => {
  const { fake, candidate } = await setUp(t);
  const one = candidate('one');
  await leads(one);
  const before = fake.requests.length;
  await eventually(() => assert.ok(fake.requests.length >= before + 5));
  const renewals = fake.requests.slice(before);
  t.true(renewals.every(({ verb }) => verb === 'update'));
  const period = (renewals.at(-1)!.at - renewals[0]!.at) / (renewals.length - 1);
  t.true(period >= timing.renewMs - 5, `${period} ms`);
});

test('the lease names its holder, keeps its transitions and is given back at a stop', async (t) => {
  const { client, candidate } = await setUp(t);
  const one = candidate('one', { timing: patient });
  await leads(one);
  t.like((await client.get(leaseType, key))['spec'], {
    holderIdentity: 'one',
    leaseDurationSeconds: 3,
    leaseTransitions: 0,
  });
  await one.stop();
  t.like((await client.get(leaseType, key))['spec'], { holderIdentity: '' });
  const two = candidate('two');
  await leads(two);
  t.like((await client.get(leaseType, key))['spec'], { holderIdentity: 'two', leaseTransitions: 1 });
});

test('a lease of another is respected for its whole duration, whatever times are written in it', async (t) => {
  const { client, candidate } = await setUp(t);
  const longAgo = '2001-01-01T00:00:00.000000Z';
  const spec = { holderIdentity: 'dead', leaseDurationSeconds: 3, renewTime: longAgo, acquireTime: longAgo };
  await client.create(leaseType, {
    apiVersion: 'coordination.k8s.io/v1',
    kind: 'Lease',
    metadata: key,
    spec,
  });
  const started = performance.now();
  const one = candidate('one');
  await leads(one);
  const waited = performance.now() - started;
  t.true(waited >= timing.durationMs && waited < 3 * timing.durationMs, `${waited} ms`);
});

test('a leader that cannot renew stops at its deadline, long before another may start', async (t) => {
  const { fake, candidate } = await setUp(t);
  const one = candidate('one');
  await leads(one);
  fake.script = () => 'hang';
  const lastRenewal = performance.now();
  await eventually(() => assert.equal(one.leads, false), { interval: 5 });
  t.true(performance.now() - lastRenewal < timing.durationMs);
  t.false(one.elector.leading);
  fake.script = () => undefined;
  await leads(one);
});

test('a leader whose lease was taken from it stops at its next renewal', async (t) => {
  const { client, candidate } = await setUp(t);
  const one = candidate('one');
  await leads(one);
  await eventually(async () => {
    const lease = await client.get(leaseType, key);
    const spec = { ...(lease['spec'] as object), holderIdentity: 'thief', leaseDurationSeconds: 60 };
    await client.update(leaseType, { ...lease, spec });
  });
  await eventually(() => assert.equal(one.leads, false));
  t.deepEqual(one.log, ['started', 'ended', 'stopped']);
});

test('a lease that was deleted or touched by somebody else is written again by its holder', async (t) => {
  const { client, candidate } = await setUp(t);
  const one = candidate('one');
  await leads(one);
  await client.delete(leaseType, key);
  await eventually(() => client.get(leaseType, key));
  await eventually(async () => {
    const lease = await client.get(leaseType, key);
    await client.update(leaseType, { ...lease, metadata: { ...lease.metadata, labels: { touched: 'yes' } } });
  });
  const { resourceVersion } = (await client.get(leaseType, key)).metadata;
  await eventually(async () => {
    const lease = await client.get(leaseType, key);
    assert.notEqual(lease.metadata.resourceVersion, resourceVersion);
    assert.deepEqual(lease.metadata.labels, { touched: 'yes' });
  });
  t.deepEqual(one.log, ['started']);
});

test('without permission for leases a replica works alone, says so once, and joins the election when it may', async (t) => {
  const { fake, client, candidate } = await setUp(t);
  fake.script = () => ({ status: 403 });
  let forbidden = 0;
  const one = candidate('one', { onForbidden: () => (forbidden += 1) });
  await leads(one);
  fake.script = () => undefined;
  await eventually(() => client.get(leaseType, key));
  t.is(forbidden, 1);
  t.deepEqual(one.log, ['started']);
});

test('rights to leases that are lost for a while make nobody work beside the leader, and the leader stop', async (t) => {
  const { fake, candidate } = await setUp(t);
  const one = candidate('one');
  await leads(one);
  const two = candidate('two', { onForbidden: () => t.fail() });
  const before = fake.requests.length;
  await eventually(() => assert.ok(fake.requests.slice(before).some(({ verb }) => verb === 'get')));
  fake.script = () => ({ status: 403 });
  await eventually(() => assert.equal(one.leads, false));
  const refused = fake.requests.length;
  await eventually(() => assert.ok(fake.requests.length > refused + 20));
  t.deepEqual([one.leads, two.leads], [false, false]);
  fake.script = () => undefined;
  await eventually(() => assert.ok(one.leads || two.leads));
});

test('a 403 of an API server that starts makes nobody a leader', async (t) => {
  const { fake, candidate } = await setUp(t);
  fake.fail([{ status: 403 }, { status: 403 }]);
  const one = candidate('one', { onForbidden: () => t.fail() });
  await leads(one);
  t.true(fake.requests.some(({ verb }) => verb === 'create'));
});

test('work that fails ends the election with its error and gives the lease back', async (t) => {
  const { client, candidate } = await setUp(t);
  const one = candidate('one', {
    timing: patient,
    onStartedLeading: async () => {
      throw new Error('broken');
    },
  });
  await t.throwsAsync(one.run, { message: 'broken' });
  t.like((await client.get(leaseType, key))['spec'], { holderIdentity: '' });
});

test('of many candidates never two work at a time', async (t) => {
  const { candidate } = await setUp(t);
  let working = 0;
  const onStartedLeading = async (signal: AbortSignal) => {
    working += 1;
    t.is(working, 1);
    await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
    working -= 1;
  };
  const all = ['one', 'two', 'three', 'four'].map((identity) => candidate(identity, { onStartedLeading }));
  while (all.length > 0) {
    const leader = await eventually(() => all.find(({ elector }) => elector.leading) ?? assert.fail());
    all.splice(all.indexOf(leader), 1);
    await leader.stop();
  }
  t.is(working, 0);
});

async function leads(candidate: { leads: boolean }): Promise<void> {
  await eventually(() => assert.equal(candidate.leads, true), { interval: 5 });
}

async function setUp(t: ExecutionContext) {
  const fake = await startFakeApiServer([leaseType]);
  const client = createClient(fake.connection(), { userAgent: 'test' });
  const stop = new AbortController();
  const runs: Promise<void>[] = [];
  t.teardown(async () => {
    stop.abort();
    await Promise.allSettled(runs);
    await client.close();
    await fake.stop();
  });

  function candidate(identity: string, options: Partial<LeaderElectorOptions> = {}) {
    const end = new AbortController();
    const state = { leads: false, log: [] as string[] };
    const elector = new LeaderElector({
      client,
      ...key,
      identity,
      timing,
      async onStartedLeading(signal) {
        state.leads = true;
        state.log.push('started');
        await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
        state.leads = false;
        state.log.push('ended');
      },
      onStoppedLeading: () => state.log.push('stopped'),
      ...options,
    });
    const run = elector.run(AbortSignal.any([stop.signal, end.signal]));
    run.catch(() => undefined);
    runs.push(run);
    return Object.assign(state, {
      elector,
      run,
      stop() {
        end.abort();
        return run;
      },
    });
  }

  return { fake, client, candidate };
}
