/** What changes in a cluster's life: the mirror's spec, its objects, its nodes. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import test from 'ava';
import { ports } from '../../src/cache/ports.ts';
import { storageClass } from '../cluster/addons.ts';
import type { ClusterNode } from '../cluster/node.ts';
import type { PodObject } from '../cluster/pods.ts';
import type { KubeObject } from '../kubernetes/api-request.ts';
import { eventually } from '../support/eventually.ts';
import { claimsOf, expandVolumes } from './cache-volumes.ts';
import { type InstalledCluster, installedCluster, mirrorPath } from './installed-cluster.ts';
import { incarnation } from './pod-history.ts';

const [host, other] = ['registry.example', 'other.example'];
const core = '/api/v1/namespaces/default';
const service = `${core}/services/registry-mirror-example`;
const taint = { key: 'example/images-not-ready', effect: 'NoSchedule' };
let world: InstalledCluster;

test.before(async (t) => {
  t.timeout(1_800_000, 'the programs and the image may have to be built first');
  world = await installedCluster({ name: 'changes', upstreams: [host, other], volumes: 1 });
  const nodes = { wire: 'transparent', startupTaint: taint.key };
  await world.mirror('example', { upstreamUrl: host, nodes });
  await world.untilServing('example');
});
test.after.always(() => world?.cluster.stop());

test.serial(
  'every owned object that is changed or deleted comes back, the Service with its address',
  async (t) => {
    const { spec } = await world.cluster.adminFetch<ServiceObject>(service);
    await world.cluster.adminFetch(service, { method: 'DELETE' });
    await eventually(async () => {
      const again = await world.cluster.adminFetch<ServiceObject>(service);
      assert.equal(again.spec.clusterIP, spec.clusterIP);
    });
    const owned = [
      `${core}/services/registry-mirror-example-headless`,
      `${core}/secrets/registry-mirror-example-secret`,
      '/apis/apps/v1/namespaces/default/statefulsets/registry-mirror-example',
      '/apis/policy/v1/namespaces/default/poddisruptionbudgets/registry-mirror-example',
      '/apis/apps/v1/namespaces/default/daemonsets/registry-mirror-nodes',
    ];
    for (const path of owned) {
      const { metadata } = await world.cluster.adminFetch(path);
      await world.cluster.adminFetch(path, { method: 'DELETE' });
      await eventually(
        async () => assert.notEqual((await world.cluster.adminFetch(path)).metadata.uid, metadata.uid),
        { timeout: 60_000, message: `${path} did not come back` },
      );
    }
    await untilMirrored('drift');
    t.pass();
  },
);

test.serial(
  'a mirror that comes is wired by agents that run within seconds, and taken back as soon when it goes',
  async (t) => {
    const { cluster } = world;
    const seconds = async (what: string, work: () => Promise<unknown>) => {
      const began = Date.now();
      await work();
      t.log(`${what} after ${(Date.now() - began) / 1000} s`);
    };
    // Kubelets alone would take up to a minute and a half.
    const soon = { timeout: 30_000, interval: 100 };
    const areWired = (wanted: boolean) =>
      eventually(() => {
        for (const node of cluster.nodes)
          assert.equal(existsSync(node.path('/etc/containerd/certs.d/quick.example/hosts.toml')), wanted);
      }, soon);
    const spec = { upstreamUrl: 'quick.example', replicas: 1, nodes: { wire: 'transparent' } };
    await world.mirror('quick', spec);
    await seconds('wired', () => areWired(true));
    await world.untilServing('quick');
    await cluster.adminFetch(mirrorPath('quick'), { method: 'DELETE' });
    await seconds('taken back', () => areWired(false));
    await seconds('gone then', () =>
      eventually(() => assert.rejects(world.getMirror('quick'), { code: 404 }), soon),
    );
    t.pass();
  },
);

test.serial('a third node joins with a startup taint, which goes when it is wired', async (t) => {
  const node = await world.cluster.addNode({ taints: [taint] });
  await world.prepareNode(node);
  await node.importImage(world.imageArchive);
  await eventually(
    async () => {
      const { spec } = await world.cluster.adminFetch<NodeObject>(`/api/v1/nodes/${node.name}`);
      assert.ok(!spec.taints?.some(({ key }) => key === taint.key));
    },
    { timeout: 60_000, interval: 200, message: 'The taint did not go' },
  );
  const mark = world.mark(host);
  await world.push(host, 'third');
  await node.pull(`${host}/third:1`);
  t.deepEqual(world.directRequests(host, mark), []);
});

test.serial('another upstream is asked from then on, and nothing of the first is served', async (t) => {
  await world.push(host, 'moved', { seed: 'old' });
  const moved = await world.push(other, 'moved', { seed: 'new' });
  const [node] = world.cluster.nodes;
  await node?.pull(`${host}/moved:1`);
  await world.patchMirror('example', { spec: { upstreamUrl: other, masqueradeUrl: host } });
  await world.untilReconciled('example');
  // nginx takes on what its broker has within seconds.
  const digests = async () => new Set(await Promise.all((await world.caches()).map(digestOfMoved)));
  await eventually(async () => assert.deepEqual(await digests(), new Set([moved.manifests[0]?.digest])), {
    timeout: 15_000,
  });
  const mark = world.mark(other);
  await world.cluster.nodes[1]?.pull(`${host}/moved:1`);
  t.true(world.blobRequests(other, mark).length > 0);
  t.deepEqual(world.directRequests(other, mark), []);
});

test.serial('a node that leaves the selection is as it was, and wired again when it is back', async (t) => {
  const [first, second] = world.cluster.nodes;
  assert.ok(first && second);
  const label = (node: ClusterNode, value: string | null) =>
    world.patch(`/api/v1/nodes/${node.name}`, { metadata: { labels: { mirrored: value } } });
  for (const node of world.cluster.nodes) await label(node, 'yes');
  await world.patchMirror('example', { spec: { nodes: { nodeSelector: { mirrored: 'yes' } } } });
  await untilWired(world.cluster.nodes.map(() => true));
  await label(second, null);
  await untilWired(world.cluster.nodes.map((node) => node !== second));
  t.false(existsSync(second.path('/var/lib/registry-mirror-operator')), 'nothing is kept of it');
  const mark = world.mark(other);
  await world.push(other, 'left');
  await first.pull(`${host}/left:1`);
  t.deepEqual(world.directRequests(other, mark), [], 'the others are mirrored on');
  await label(second, 'yes');
  await untilWired(world.cluster.nodes.map(() => true));
});

test.serial('a volume that cannot be what is asked for is told, and the mirror serves on', async (t) => {
  const ask = (storage: string) =>
    world.patchMirror('example', {
      spec: { volumeClaimTemplate: { spec: { resources: { requests: { storage } } } } },
    });
  for (const [storage, reason] of [
    ['512Mi', 'StorageCannotShrink'],
    // The class of these volumes does not expand them.
    ['2Gi', 'StorageCannotGrow'],
  ] as const) {
    await ask(storage);
    await eventually(async () => {
      const found = await world.untilCondition('example', 'Stalled', 'True');
      assert.equal(found.reason, reason, found.message);
    });
  }
  await ask('1Gi');
  await world.untilCondition('example', 'Stalled', 'False');
  await world.push(other, 'kept-serving');
  const mark = world.mark(other);
  await world.cluster.nodes[0]?.pull(`${host}/kept-serving:1`);
  t.deepEqual(world.directRequests(other, mark), []);
});

test.serial(
  'volumes that grow give the caches more room: no pod restarts, and what was cached is served',
  async (t) => {
    await world.push(other, 'grown');
    await world.cluster.nodes[0]?.pull(`${host}/grown:1`);
    const before = (await world.caches()).map(incarnation);
    const limits = await cacheLimits();
    await world.patch(`/apis/storage.k8s.io/v1/storageclasses/${storageClass}`, {
      allowVolumeExpansion: true,
    });
    const resources = { requests: { storage: '3Gi' } };
    await world.patchMirror('example', { spec: { volumeClaimTemplate: { spec: { resources } } } });
    await eventually(async () => {
      for (const { spec } of await claimsOf(world.cluster, 'example'))
        assert.deepEqual(spec.resources, resources);
    });
    await expandVolumes(world, 'example');
    // The kubelet takes up to two minutes to bring a pod its changed configuration.
    await eventually(
      async () => {
        for (const [at, limit] of (await cacheLimits()).entries())
          assert.ok(limit > 2.5 * (limits[at] ?? limit));
      },
      { timeout: 150_000, interval: 1000 },
    );
    await world.untilCondition('example', 'Stalled', 'False');
    t.deepEqual((await world.caches()).map(incarnation), before);
    const mark = world.mark(other);
    await world.forget(`${host}/grown`);
    await world.cluster.nodes[0]?.pull(`${host}/grown:1`);
    t.deepEqual(world.blobRequests(other, mark), []);
  },
);

async function digestOfMoved({ status }: PodObject): Promise<string | undefined> {
  const url = `https://${status.podIP}:${ports.https}/v2/moved/manifests/1`;
  const head = await world.cluster.nodes[0]?.run(['curl', '--silent', '--insecure', '--head', url]);
  return /^docker-content-digest: (\S+)/im.exec(head ?? '')?.[1];
}

/** From how many bytes on each cache removes what was used longest ago. */
async function cacheLimits(): Promise<number[]> {
  const [node] = world.cluster.nodes;
  const limits = (await world.caches()).map(async ({ status }) => {
    const url = `http://${status.podIP}:${ports.metrics}/metrics`;
    const text = await node?.run(['curl', '--silent', '--show-error', '--fail', url]);
    return Number(/^\w+_cache_limit_bytes\S* (\d+)/m.exec(text ?? '')?.[1]);
  });
  return await Promise.all(limits);
}

/** Whether each node has the mirror in its containerd, in their order. */
async function untilWired(wanted: readonly boolean[]): Promise<void> {
  const isWired = (node: ClusterNode) => existsSync(node.path(`/etc/containerd/certs.d/${host}`));
  await eventually(async () => assert.deepEqual(world.cluster.nodes.map(isWired), wanted), {
    timeout: 120_000,
    interval: 500,
  });
}

/** Until an image that nobody has comes through the mirror on all nodes; meanwhile nodes go upstream. */
async function untilMirrored(name: string): Promise<void> {
  let tries = 0;
  await eventually(
    async () => {
      const mark = world.mark(host);
      tries += 1;
      const repository = `${name}-${tries}`;
      await world.push(host, repository);
      for (const node of world.cluster.nodes) await node.pull(`${host}/${repository}:1`);
      assert.deepEqual(world.directRequests(host, mark), []);
    },
    { timeout: 60_000, interval: 2000 },
  );
}

interface ServiceObject extends KubeObject {
  spec: { clusterIP: string };
}

interface NodeObject extends KubeObject {
  spec: { taints?: { key: string }[] };
}
