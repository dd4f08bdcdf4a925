/** Evictions as a drain asks for them, counted by the API server's own disruption controller. Nodes and pods are the test's own. */
import assert from 'node:assert/strict';
import test from 'ava';
import type { StatusError } from '../kubernetes/api-request.ts';
import { eventually } from '../support/eventually.ts';
import { type Live, pathsOf, startWorld, type World } from '../support/operator-world.ts';

let world: World;
test.before(async () => {
  const standIns = ['daemonset', 'statefulset', 'node-lifecycle', 'pod-garbage-collector', 'taint-eviction'];
  const controllers = ['*', ...standIns.map((name) => `-${name}-controller`)];
  world = await startWorld({ enableControllerManager: true, controllers });
  world.start();
});
test.afterEach.always((t) => {
  if (!t.passed) t.log(world.lastWords());
});
test.after.always(() => world?.end());

const pods = '/api/v1/namespaces/default/pods';

test.serial('Evictions take one cache pod of a mirror at a time, and any number of agents', async (t) => {
  await started('two', 2);
  const agents = ['agent-1', 'agent-2'];
  for (const name of agents) await pod('two', name, { component: 'hostess-certificate' });
  await allowed('two', 1);

  t.is(await evict('registry-mirror-two-0'), 201);
  t.is(await evict('registry-mirror-two-1'), 429, 'the other one serves until the first does again');
  for (const name of agents) t.is(await evict(name), 201);

  await end('registry-mirror-two-0');
  await pod('two', 'registry-mirror-two-0');
  await allowed('two', 1);
  t.is(await evict('registry-mirror-two-1'), 201);
});

test.serial('A single replica is let go, and of two that are not ready both', async (t) => {
  await started('one', 1);
  await allowed('one', 1);
  t.is(await evict('registry-mirror-one-0'), 201);

  await started('broken', 2, 'False');
  await allowed('broken', 0);
  for (const name of ['registry-mirror-broken-0', 'registry-mirror-broken-1'])
    t.is(await evict(name), 201, name);
});

test.serial('A mirror without replicas has a budget all the same', async (t) => {
  await started('none', 0);
  t.like((await world.get(pathsOf('none').disruptionBudget)).spec, { maxUnavailable: 1 });
});

/** Makes a mirror, and its cache pods as if their nodes ran them. */
async function started(name: string, replicas: number, ready = 'True'): Promise<void> {
  await world.mirror(name, { upstreamUrl: `${name}.example`, replicas });
  await world.settled(name);
  for (let at = 0; at < replicas; at += 1) await pod(name, `registry-mirror-${name}-${at}`, {}, ready);
}

/** A pod with the labels of the mirror's StatefulSet, or with others, of a node that nobody runs. */
async function pod(mirror: string, name: string, labels: object = {}, ready = 'True'): Promise<void> {
  const set = await world.get(pathsOf(mirror).statefulSet);
  const { kind, apiVersion, metadata, spec } = set;
  const owner = { kind, apiVersion, name: metadata.name, uid: metadata.uid, controller: true };
  const all = { ...spec.template.metadata.labels, ...labels };
  await world.plane.apply({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'default', labels: all, ownerReferences: [owner] },
    spec: { nodeName: 'node-1', containers: [{ name: 'one', image: 'none' }] },
  } as Live);
  const status = { phase: 'Running', conditions: [{ type: 'Ready', status: ready }] };
  await world.patch(`${pods}/${name}/status`, { status });
}

/** Waits until so many pods may be evicted. */
async function allowed(mirror: string, disruptions: number): Promise<void> {
  await eventually(async () => {
    const { metadata, status } = await world.get(pathsOf(mirror).disruptionBudget);
    assert.equal(status.observedGeneration, metadata.generation);
    assert.ok(status.expectedPods > 0);
    assert.equal(status.disruptionsAllowed, disruptions);
  });
}

/** Asks for an eviction; returns the status code. */
async function evict(name: string): Promise<number> {
  const body = { apiVersion: 'policy/v1', kind: 'Eviction', metadata: { name, namespace: 'default' } };
  try {
    await world.plane.adminFetch(`${pods}/${name}/eviction`, { method: 'POST', body } as Live);
    return 201;
  } catch (error) {
    return (error as StatusError).code;
  }
}

/** What a kubelet does when the containers have ended. */
async function end(name: string): Promise<void> {
  const body = { apiVersion: 'v1', kind: 'DeleteOptions', gracePeriodSeconds: 0 };
  await world.plane.adminFetch(`${pods}/${name}`, { method: 'DELETE', body } as Live);
}
