/**
 * Component `networkpolicy` on nodes that enforce NetworkPolicies: nodes pull, replicas ask one another, the operator knows how they are, and
 * nobody else gets at what is not for everybody.
 */
import assert from 'node:assert/strict';
import test from 'ava';
import { ports } from '../../src/cache/ports.ts';
import { wire } from '../cluster/addresses.ts';
import type { ClusterNode } from '../cluster/node.ts';
import { toolsImage } from '../cluster/own-images.ts';
import type { PodObject } from '../cluster/pods.ts';
import { eventually } from '../support/eventually.ts';
import {
  type InstalledCluster,
  installedCluster,
  operatorLabels,
  webhookLabels,
} from './installed-cluster.ts';
import { secondsSince } from './seconds-since.ts';
import { triedImage } from './tried-image.ts';

const host = 'registry.example';
/** In each is a pod `client`. */
const namespaces = ['default', 'others', 'monitoring'] as const;
/** Who connects: the client of a namespace, or a node. */
type Source = (typeof namespaces)[number] | ClusterNode;

const policies = '/apis/networking.k8s.io/v1/namespaces/default/networkpolicies';
/** Of the operator and the webhook. */
const httpPort = 8080;
const webhookPort = 8443;
/** Of pods whose images are rewritten. */
const image = `${host}/org/app:1`;

/** Each replica on a node of its own, so that what they say to one another passes both. */
const apart = {
  podAntiAffinity: {
    requiredDuringSchedulingIgnoredDuringExecution: [
      { topologyKey: 'kubernetes.io/hostname', labelSelector: { matchLabels: { component: 'registry' } } },
    ],
  },
};

let world: InstalledCluster;
let nodes: [ClusterNode, ClusterNode];

test.before(async (t) => {
  t.timeout(1_800_000, 'the programs and the image may have to be built first');
  const options = { name: 'network-policy', networkPolicies: true, install: false };
  world = await installedCluster({ ...options, upstreams: [host] });
  nodes = world.cluster.nodes as [ClusterNode, ClusterNode];
  for (const namespace of namespaces) {
    await world.cluster.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } });
    await startTools(namespace, 'client', 'exec sleep 3600');
  }
});
test.after.always(() => world?.cluster.stop());

test.serial('what a policy forbids cannot be reached on this cluster any more', async (t) => {
  const server = await startTools('others', 'server', 'exec httpd -f -p 8080', nodes[0]);
  const sources = ['default', 'others', nodes[1]] as const;
  for (const source of sources) t.true(await reaches(source, server, 8080), nameOf(source));
  await world.cluster.apply({
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name: 'nobody', namespace: 'others' },
    spec: { podSelector: {}, policyTypes: ['Ingress'] },
  });
  for (const source of sources) await untilRefused(source, server, 8080);
  t.true(await reaches(nodes[0], server, 8080), 'a pod’s own node may always');
});

test.serial('both nodes pull through the mirror, and replicas ask one another', async (t) => {
  const began = Date.now();
  await world.install(['networkpolicy']);
  t.log(`Two operators Ready after ${world.installSeconds.toFixed(1)} s`);
  await world.mirror('example', { upstreamUrl: host, affinity: apart, nodes: { wire: 'transparent' } });
  await world.untilServing('example');
  t.log(`The mirror serves, nodes wired, after ${secondsSince(began)} s`);
  for (const replica of await world.caches()) await untilRefused('others', replica, ports.peer);
  let tries = 0;
  // Each node learns of the other's pods a moment after they run.
  await eventually(() => assertOneDownload(`org/shared-${tries++}`), { timeout: 30_000, interval: 500 });

  const mark = world.mark(host);
  await pullOnBothNodes('org/app');
  t.log(`Both nodes have pulled after ${secondsSince(began)} s`);
  t.deepEqual(world.directRequests(host), []);
  const paths = world.blobRequests(host, mark).map(({ path }) => path);
  t.true(paths.length > 1);
  t.deepEqual([...new Set(paths)].sort(), paths.sort(), 'the upstream is asked for each blob once');
});

test.serial('the operator is told by caches and agents', async (t) => {
  for (const type of ['UpstreamReachable', 'InUse', 'CacheWritable'])
    await world.untilCondition('example', type, 'True', 120_000);
  const { status } = await world.getMirror('example');
  t.like(status, { nodes: '2/2' });
  t.regex((status as { cacheSize?: string }).cacheSize ?? '', /\d/);
});

test.serial('caches are open to everybody where clients come, and closed elsewhere', async (t) => {
  for (const replica of await world.caches()) {
    const foreign = foreignNode(replica);
    const found = [...namespaces, foreign].map(async (source) => [
      nameOf(source),
      await openPorts(source, replica),
    ]);
    const clients = ['https', 'fallback'];
    t.deepEqual(Object.fromEntries(await Promise.all(found)), {
      'a pod of default': clients,
      'a pod of others': clients,
      'a pod of monitoring': [...clients, 'metrics'],
      [foreign.name]: clients,
    });
  }
  for (const operator of await world.cluster.pods.list({ labels: operatorLabels }))
    t.true(await reaches('monitoring', operator, httpPort), 'metrics of the operator');
});

test.serial('with the nodes’ network as the only client, nodes pull and pods are refused', async (t) => {
  const path = `${policies}/registry-mirror-caches`;
  const { spec } = await world.cluster.adminFetch<PolicyObject>(path);
  const [clients, ...others] = spec.ingress;
  const ingress = [{ ...clients, from: [{ ipBlock: { cidr: wire } }] }, ...others];
  await world.patch(path, { spec: { ingress } });
  for (const replica of await world.caches()) {
    for (const port of [ports.https, ports.fallback]) await untilRefused('others', replica, port);
    t.true(await reaches(foreignNode(replica), replica, ports.https));
  }
  const mark = world.mark(host);
  await pullOnBothNodes('org/later');
  t.deepEqual(world.directRequests(host, mark), []);
  t.true(world.blobRequests(host, mark).length > 0);
});

test.serial('the API server calls the webhook where its policy lets it', async (t) => {
  const path = `${policies}/registry-rewrite-webhook`;
  const { spec } = await world.cluster.adminFetch<PolicyObject>(path);
  await world.install(['networkpolicy', 'rewriting', 'webhook']);
  await world.patch(path, { spec: { ingress: [] } });
  await world.cluster.apply({
    apiVersion: 'mapper.imagerelocation.pivotal.io/v1alpha1',
    kind: 'ImageMap',
    metadata: { name: 'elsewhere', namespace: 'others' },
    spec: { map: [{ from: image, to: 'elsewhere.example/org/app:1' }] },
  });
  const webhooks = { labels: webhookLabels, count: 2 };
  // The kubelet takes up to two minutes to bring them the certificate that the operator makes.
  for (const webhook of await world.cluster.pods.waitFor(webhooks, 150_000))
    await untilRefused('others', webhook, webhookPort);
  t.is(
    await triedImage(world.cluster, image, 'others'),
    image,
    'a webhook that cannot be called refuses no pod',
  );
  await world.patch(path, { spec: { ingress: spec.ingress } });
  await eventually(
    async () => assert.equal(await triedImage(world.cluster, image, 'others'), 'elsewhere.example/org/app:1'),
    {
      timeout: 60_000,
      interval: 500,
    },
  );
});

/** A blob that no replica has: asked of both, it is fetched once. */
async function assertOneDownload(repository: string): Promise<void> {
  const { blobs } = await world.push(host, repository);
  const mark = world.mark(host);
  for (const { status } of await world.caches()) {
    const url = `https://${status.podIP}:${ports.https}/v2/${repository}/blobs/${blobs[0]?.digest}`;
    const fetch = ['curl', '--silent', '--show-error', '--fail', '--insecure', '--output', '/dev/null', url];
    for (const node of nodes) await node.run(fetch);
  }
  assert.equal(world.blobRequests(host, mark).length, 1);
}

/** A new image: on both nodes, by pods. */
async function pullOnBothNodes(repository: string): Promise<void> {
  await world.push(host, repository, { size: 3_000_000 });
  const pods = await world.rollOut('app', { image: `${host}/${repository}:1` });
  assert.equal(new Set(pods.map(({ spec }) => spec.nodeName)).size, 2);
  await world.remove('app');
}

/** The one that the pod does not run on. */
function foreignNode({ spec }: PodObject): ClusterNode {
  const [one, other] = nodes;
  return one.name === spec.nodeName ? other : one;
}

/** A pod with a shell; returns it Ready. */
async function startTools(
  namespace: string,
  name: string,
  script: string,
  node?: ClusterNode,
): Promise<PodObject> {
  const labels = { app: name };
  const container = { name, image: toolsImage, imagePullPolicy: 'Never', command: ['sh', '-c', script] };
  const place = node === undefined ? {} : { nodeName: node.name };
  const spec = { terminationGracePeriodSeconds: 0, containers: [container], ...place };
  const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name, namespace, labels }, spec };
  // A new namespace has its service account a moment later.
  await eventually(() => world.cluster.apply(pod));
  const [started] = await world.cluster.pods.waitFor({ namespace, labels: `app=${name}`, count: 1 });
  return started!;
}

/** Whether a TCP connection to the pod is made. */
async function reaches(source: Source, { status }: PodObject, port: number): Promise<boolean> {
  const command = ['busybox', 'nc', '-w', '3', status.podIP ?? '', String(port), '-e', 'true'];
  if (typeof source === 'object')
    return await source.run(command).then(
      () => true,
      () => false,
    );
  return (await world.cluster.pods.exec({ namespace: source, name: 'client' }, command)).code === 0;
}

/** Which of a cache's ports it reaches, by name. */
async function openPorts(source: Source, replica: PodObject): Promise<string[]> {
  const names: string[] = [];
  for (const [name, port] of Object.entries(ports))
    if (await reaches(source, replica, port)) names.push(name);
  return names;
}

async function untilRefused(source: Source, pod: PodObject, port: number): Promise<void> {
  await eventually(async () => assert.ok(!(await reaches(source, pod, port))), {
    timeout: 30_000,
    interval: 500,
    message: `${nameOf(source)} still reached ${pod.metadata.name} at ${port}`,
  });
}

function nameOf(source: Source): string {
  return typeof source === 'object' ? source.name : `a pod of ${source}`;
}

interface PolicyObject {
  readonly metadata: { readonly name: string };
  readonly spec: { readonly ingress: readonly object[] };
}
