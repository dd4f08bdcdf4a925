/** What breaks around a mirror and in it: no pull fails that would have worked without it, and nobody has to do anything afterwards. */
import { setTimeout as delay } from 'node:timers/promises';
import test from 'ava';
import type { KubeObject } from '../../src/kube/object.ts';
import { limitUpstream } from '../cluster/limit-upstream.ts';
import type { ClusterNode } from '../cluster/node.ts';
import type { PodObject } from '../cluster/pods.ts';
import { eventually } from '../support/eventually.ts';
import type { Image } from '../support/images.ts';
import {
  bytesOf,
  type InstalledCluster,
  installedCluster,
  operatorLabels,
  sizeOf,
} from './installed-cluster.ts';
import { killPod } from './kill-pod.ts';
import { secondsSince } from './seconds-since.ts';

const host = 'registry.example';
const agents = 'component=node-agent-shared';
const caches = 'component=registry,mirror=example';
const tagMs = 2_000;
/** Bytes of an image, and in a second of the internet, so that a pull takes long enough to be disturbed. */
const large = { size: 48 * 1024 * 1024, rate: 12_000_000 };

let world: InstalledCluster;

test.before(async (t) => {
  t.timeout(1_800_000, 'the programs and the image may have to be built first');
  world = await installedCluster({ name: 'outages', upstreams: [host], volumes: 1, install: false });
  await Promise.all([world.install(), makeMirror()]);
  const began = Date.now();
  await world.untilServing('example');
  t.log(`The mirror serves, nodes wired, ${secondsSince(began)} s after two operators were Ready`);
});
test.after.always(() => world?.cluster.stop());
test.afterEach.always(async () => {
  await world?.cluster.internet.restore();
  await world?.cluster.internet.slow(undefined);
});

for (const how of ['refused', 'silent'] as const) {
  test.serial(`the upstream is cut (${how}): what is cached is pulled, the rest fails soon`, async (t) => {
    const [one] = nodes();
    const [cached, absent] = [`${how}/cached`, `${how}/absent`];
    for (const repository of [cached, absent]) await world.push(host, repository, { size: 3_000_000 });
    await untilThroughMirror(one, cached);
    await world.cluster.internet.cut(how);
    // The tag is over age then: that the upstream cannot be asked is noticed.
    await delay(tagMs + 500);
    for (const node of nodes()) {
      await world.forget(`${host}/${cached}`, [node]);
      const ms = await pull(node, cached);
      t.log(`Cached, on ${node.name}: ${ms} ms`);
      if (ms >= 15_000) t.log(await cacheLogs(cached));
      t.true(ms < 15_000);
    }

    // Where nothing answers, containerd tries the upstream itself for its 50 s, as without a mirror; an alias has no such second way.
    const name = how === 'silent' ? `mirror-${host}/${absent}:1` : `${host}/${absent}:1`;
    const began = Date.now();
    await t.throwsAsync(one.pull(name), { message: /503 Service Unavailable/ });
    t.log(`Not cached: fails after ${secondsSince(began)} s`);
    // 3 s of silence where a connection was open already, then 5 s for a new one.
    t.true(Date.now() - began < 20_000);

    await world.cluster.internet.restore();
    const restored = Date.now();
    await eventually(() => pull(one, absent), { timeout: 20_000, interval: 500 });
    t.log(`Pulled ${secondsSince(restored)} s after the upstream was back`);
    await untilThroughMirror(one, absent);
    t.log(`From the mirror after ${secondsSince(restored)} s`);
  });
}

test.serial(
  'a node reboots, kube-proxy late: it pulls all the time, and from the mirror in the end',
  async (t) => {
    const [one] = nodes();
    await world.push(host, 'reboot/app');
    await one.reboot({ late: ['kube-proxy'] });
    const mark = world.mark(host);
    t.log(`Pulled after ${await pull(one, 'reboot/app')} ms, without kube-proxy`);
    t.true(direct(mark).length > 0, 'the mirror cannot be reached yet');
    await world.cluster.untilReady(one);
    t.log(`Pulled after ${await pullAgain(one, 'reboot/app')} ms, the node being Ready`);
    await one.startDaemon('kube-proxy');
    const began = Date.now();
    await untilThroughMirror(one, 'reboot/app');
    t.log(`From the mirror ${secondsSince(began)} s after kube-proxy was there`);
    await world.untilServing('example');
  },
);

test.serial('a node agent is killed, then deleted: pulls go on, and the node is wired again', async (t) => {
  const [, two] = nodes();
  await world.push(host, 'agent/app');
  await pull(two, 'agent/app');
  const ends = {
    killed: (pod: PodObject) => killPod(world.cluster, pod),
    deleted: (pod: PodObject) => deletePod(pod.metadata.name),
  };
  for (const [how, end] of Object.entries(ends)) {
    const pods = await world.cluster.pods.list({ labels: agents });
    await end(pods.find(({ spec }) => spec.nodeName === two.name)!);
    t.log(`Agent ${how}: pulled after ${await pullAgain(two, 'agent/app')} ms`);
    const began = Date.now();
    await world.cluster.pods.waitFor({ labels: agents, count: 2 });
    await untilThroughMirror(two, 'agent/app');
    t.log(`From the mirror, by an agent that is Ready, after ${secondsSince(began)} s more`);
  }
  await world.untilServing('example');
  t.is((await world.getMirror('example')).status?.nodes, '2/2');
});

const endings: Record<string, (pods: readonly PodObject[]) => Promise<void>> = {
  'one cache pod is killed': async (pods) => {
    // The other node has not been rebooted: the kubelet starts it at once.
    const pod = pods.find(({ spec }) => spec.nodeName === nodes()[1].name)!;
    await killPod(world.cluster, pod);
  },
  'both cache pods are killed at once and made anew': async (pods) => {
    await Promise.all(pods.map(({ metadata }) => deletePod(metadata.name, '?gracePeriodSeconds=0')));
  },
};
for (const [at, [title, end]] of Object.entries(endings).entries()) {
  test.serial(`${title} during a pull: it ends well`, async (t) => {
    const { cluster } = world;
    const [one] = nodes();
    const repository = `large/app-${at}`;
    const image = await world.push(host, repository, { size: large.size });
    await cluster.internet.slow(large.rate);
    const [mark, sent] = [world.mark(host), await cluster.internet.sentBytes()];
    const pulled = pull(one, repository);
    await eventually(
      async () => {
        const bytes = (await cluster.internet.sentBytes()) - sent;
        if (bytes < large.size / 3) throw new Error(`The upstream sent ${bytes} bytes`);
      },
      { timeout: 30_000 },
    );
    await end(await cluster.pods.list({ labels: caches }));
    t.log(`Pulled after ${await pulled} ms`);
    const bytes = bytesOf(world.blobRequests(host, mark));
    t.log(`The upstream sent ${(bytes / sizeOf(image)).toFixed(3)} times the image`);
    t.true(bytes < 1.5 * sizeOf(image), 'it went on where it was');
    await cluster.pods.waitFor({ labels: caches, count: 2 });
    for (const node of nodes()) await untilThroughMirror(node, repository);
  });
}

test.serial('a tag moves upstream: after tagTTL it is the new one on all nodes', async (t) => {
  const old = await world.push(host, 'moving/app');
  for (const node of nodes()) t.true(isOf(old, await node.pull(`${host}/moving/app:1`)));
  const moved = await world.push(host, 'moving/app', { seed: 'moved' });
  await delay(tagMs + 1_000);
  const mark = world.mark(host);
  // Several times: a node's connections go to either replica.
  for (const node of [nodes(), nodes(), nodes()].flat()) {
    await world.forget(`${host}/moving/app`, [node]);
    t.true(isOf(moved, await node.pull(`${host}/moving/app:1`)), `the new one on ${node.name}`);
  }
  t.deepEqual(direct(mark), []);
});

test.serial(
  'the upstream answers 429: it is left alone, what is cached is pulled, the rest later',
  async (t) => {
    const { cluster } = world;
    const [one] = nodes();
    for (const repository of ['limited/cached', 'limited/absent']) await world.push(host, repository);
    await pull(one, 'limited/cached');
    const limit = await limitUpstream(cluster.internet, world.upstream(host), 5);
    try {
      await delay(tagMs + 500);
      for (const node of [nodes(), nodes(), nodes()].flat()) await pullAgain(node, 'limited/cached');
      const asked = limit.requests();
      t.log(asked);
      t.true(asked.length >= 1 && asked.length <= 3, 'six pulls, and each replica asks once');
      const began = Date.now();
      await t.throwsAsync(pull(one, 'limited/absent'), { message: /503|429/ });
      t.log(`Not cached: fails after ${secondsSince(began)} s`);
      t.true(Date.now() - began < 15_000);
    } finally {
      await limit.end();
    }
    const ended = Date.now();
    await eventually(() => pull(one, 'limited/absent'), { timeout: 20_000, interval: 500 });
    t.log(`Pulled ${secondsSince(ended)} s after the limit`);
    await untilThroughMirror(one, 'limited/absent');
  },
);

test.serial('the leading operator is killed half-way through a mirror: the other one ends it', async (t) => {
  const { cluster } = world;
  const before = await holder();
  const pods = await cluster.pods.list({ labels: operatorLabels });
  const leader = pods.find(({ metadata }) => before.startsWith(`${metadata.name}_`))!;
  await makeMirror('late', `${host}:443`);
  const service = '/api/v1/namespaces/default/services/registry-mirror-late';
  await eventually(() => cluster.adminFetch(service), { interval: 5 });
  await killPod(cluster, leader);
  const began = Date.now();
  await world.untilCondition('late', 'Ready', 'True');
  t.log(`Ready after ${secondsSince(began)} s, of which the Lease takes 15`);
  t.not(await holder(), before);
});

test.serial('the API server is down: nodes pull new images from the mirror meanwhile', async (t) => {
  const { cluster } = world;
  const repositories = Array.from({ length: 5 }, (_, at) => `api/app-${at}`);
  for (const repository of repositories) await world.push(host, repository, { size: 300_000 });
  await cluster.controlPlane.kill('kube-apiserver');
  const mark = world.mark(host);
  try {
    for (const repository of repositories) {
      for (const node of nodes()) t.log(`${repository} on ${node.name}: ${await pull(node, repository)} ms`);
      await delay(4_000);
    }
  } finally {
    await cluster.controlPlane.startServer('kube-apiserver');
    await cluster.controlPlane.untilReady(cluster);
  }
  t.deepEqual(direct(mark), [], 'by the mirror');
  for (const node of nodes()) await cluster.untilReady(node);
  await world.untilServing('example');
  await world.push(host, 'api/after');
  for (const node of nodes()) {
    await pull(node, 'api/after');
    await untilThroughMirror(node, 'api/after');
  }
});

/** All that it needs is made before the operators begin: agents have it in their first list, and not when kubelets renew that. */
async function makeMirror(name = 'example', upstreamUrl = host): Promise<void> {
  const nodes = { wire: name === 'example' ? 'transparent' : 'alias' };
  const masqueradeUrl = `mirror-${name === 'example' ? host : name}`;
  await world.mirror(name, { upstreamUrl, masqueradeUrl, cache: { tagTTL: `${tagMs / 1000}s` }, nodes });
}

function nodes(): [ClusterNode, ClusterNode] {
  return world.cluster.nodes as [ClusterNode, ClusterNode];
}

/** Pulls the image of a repository; returns how many ms that took. */
async function pull(node: ClusterNode, repository: string): Promise<number> {
  const began = Date.now();
  await node.pull(`${host}/${repository}:1`);
  return Date.now() - began;
}

async function pullAgain(node: ClusterNode, repository: string): Promise<number> {
  await world.forget(`${host}/${repository}`, [node]);
  return await pull(node, repository);
}

/** Until a pull asks the upstream nothing but what the mirror asks it; every pull until then must succeed too. */
async function untilThroughMirror(node: ClusterNode, repository: string): Promise<void> {
  const deadline = Date.now() + 60_000;
  for (;;) {
    const mark = world.mark(host);
    await pullAgain(node, repository);
    if (direct(mark).length === 0) return;
    if (Date.now() > deadline) throw new Error(`${node.name} pulls ${repository} without the mirror`);
    await delay(500);
  }
}

/** What the caches were asked of a repository, and how they answered. */
async function cacheLogs(repository: string): Promise<string> {
  const pods = await world.cluster.pods.list({ labels: caches });
  const logs = await Promise.all(
    pods.map(({ metadata: { name } }) => world.cluster.pods.log({ name, container: 'registry' })),
  );
  const lines = logs.flatMap((log, at) =>
    log.split('\n').map((line) => `${pods[at]?.metadata.name} ${line}`),
  );
  return lines.filter((line) => line.includes(repository)).join('\n');
}

/** What nodes themselves asked the upstream, from a moment on. */
function direct(mark: number) {
  return world.directRequests(host, mark);
}

/** Whether an image is the one that a runtime knows by that id: its configuration's digest. */
function isOf({ blobs }: Image, id: string | undefined): boolean {
  return blobs.some(({ digest }) => digest === id);
}

async function deletePod(name: string, query = ''): Promise<void> {
  await world.cluster.adminFetch(`/api/v1/namespaces/default/pods/${name}${query}`, { method: 'DELETE' });
}

/** Which operator has the Lease: the pod's name and something random. */
async function holder(): Promise<string> {
  const path = '/apis/coordination.k8s.io/v1/namespaces/default/leases/registry-mirror-operator';
  return (await world.cluster.adminFetch<LeaseObject>(path)).spec.holderIdentity ?? '';
}

interface LeaseObject extends KubeObject {
  readonly spec: { readonly holderIdentity?: string };
}
