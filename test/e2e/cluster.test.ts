/** The cluster that other tests of this folder run in: what a node, a pod and a person find in it. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { storageClass, volumeFolder } from '../cluster/addons.ts';
import { type Cluster, openCluster } from '../cluster/cluster.ts';
import { leftOf, tracesOf } from '../cluster/leftovers.ts';
import { type ClusterNode, daemons } from '../cluster/node.ts';
import { toolsImage } from '../cluster/own-images.ts';
import { startCluster } from '../cluster/start-cluster.ts';
import { eventually } from '../support/eventually.ts';
import { clusterFolder } from './folder.ts';

const folder = clusterFolder('cluster');
/** Busybox' own limit of time makes Debian's crash. */
const fetch = ['timeout', '10', 'busybox', 'wget', '-q', '-O', '-'];

let cluster: Cluster;
let before: Awaited<ReturnType<typeof tracesOf>>;

test.before(async (t) => {
  t.timeout(1_800_000, 'the programs may have to be built first');
  before = await tracesOf(folder);
  const began = Date.now();
  cluster = await startCluster({ folder });
  t.log(`Two nodes Ready and DNS answering after ${((Date.now() - began) / 1000).toFixed(1)} s`);
});
test.after.always(() => cluster?.stop());

test.serial('both nodes are Ready, run what they should, and are known by their own names', async (t) => {
  const { items } = await cluster.adminFetch<{ items: NodeObject[] }>('/api/v1/nodes');
  const facts = items.map(({ metadata, status: { nodeInfo, addresses } }) => ({
    name: metadata.name,
    kubelet: nodeInfo.kubeletVersion,
    runtime: nodeInfo.containerRuntimeVersion,
    address: addresses.find(({ type }) => type === 'InternalIP')?.address,
  }));
  const same = { kubelet: 'v1.36.3', runtime: 'containerd://2.4.2' };
  t.deepEqual(facts, [
    { name: 'node-1', ...same, address: '10.201.0.11' },
    { name: 'node-2', ...same, address: '10.201.0.12' },
  ]);
  t.is(await cluster.nodes[1]!.run(['hostname']), 'node-2\n');
});

test.serial(
  'pods on both nodes reach each other, a Service by address and name, and the internet',
  async (t) => {
    await serveInternet();
    for (const node of cluster.nodes) await cluster.apply(webPod(`web-${node.number}`, node.name));
    const { spec } = await cluster.apply<ServiceObject>({
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'web' },
      spec: { selector: { app: 'web' }, ports: [{ port: 80, targetPort: 8080 }] },
    });
    const pods = await cluster.pods.waitFor({ labels: 'app=web', count: 2 });
    for (const from of pods) {
      const get = (url: string) => fetchFromPod(from.metadata.name, url);
      for (const to of pods) t.is(await get(`http://${to.status.podIP}:8080/name`), to.metadata.name);
      await until(() => get(`http://${spec.clusterIP}/name`), /^web-[12]$/);
      for (const name of ['web', 'web.default.svc.cluster.local'])
        t.regex(await get(`http://${name}/name`), /^web-[12]$/, name);
      await until(() => get('http://registry.example/page'), /^of the internet$/);
    }
    for (const node of cluster.nodes)
      t.is(await node.run([...fetch, 'http://registry.example/page']), 'of the internet');
  },
);

test.serial('no pod and no node has a way out of the machine, or to its files', async (t) => {
  const command = 'timeout 5 wget -O - http://1.1.1.1/ 2>&1';
  const { stdout } = await cluster.pods.exec({ name: 'web-1' }, ['sh', '-c', command]);
  t.regex(stdout, /unreachable|No route to host/);
  const [node] = cluster.nodes as [ClusterNode];
  t.false((await node.run(['ls', '/'])).includes('work'));
  await t.throwsAsync(node.run(['touch', '/usr/x']), { message: /Read-only file system/ });
});

test.serial('a command in a container tells its output and exit code, and a container its log', async (t) => {
  const name = 'web-2';
  const told = await cluster.pods.exec({ name }, ['sh', '-c', 'echo out; echo err >&2; exit 3']);
  t.deepEqual(told, { code: 3, stdout: 'out\n', stderr: 'err\n' });
  t.regex(await cluster.pods.log({ name }), /serving web-2/);
});

test.serial(
  'claims of a StatefulSet bind to volumes of the default class, and pods without rights write there',
  async (t) => {
    await cluster.apply(storingSet(2));
    const pods = await cluster.pods.waitFor({ labels: 'app=storing', count: 2 });
    for (const { metadata, spec } of pods) {
      const path = `/api/v1/namespaces/default/persistentvolumeclaims/data-${metadata.name}`;
      const claim = await cluster.adminFetch<ClaimObject>(path);
      t.is(claim.spec.storageClassName, storageClass);
      const node = cluster.nodes.find(({ name }) => name === spec.nodeName)!;
      const file = node.path(`${volumeFolder(claim.spec.volumeName)}/file`);
      t.is(readFileSync(file, 'utf8'), `${metadata.name}\n`);
    }
  },
);

test.serial('the internet can be cut, slowed and counted', async (t) => {
  const { internet, nodes } = cluster;
  const size = 4 * 1024 * 1024;
  writeFileSync(join(internet.place.folder, 'large'), Buffer.alloc(size, 1));
  const seconds = async (path: string) => {
    const began = performance.now();
    await nodes[0]!.run([...fetch, `http://192.88.99.10/${path}`]);
    return (performance.now() - began) / 1000;
  };
  const sentBefore = await internet.sentBytes();
  await seconds('large');
  const sent = (await internet.sentBytes()) - sentBefore;
  t.true(sent > size && sent < 1.02 * size, `${sent} bytes for ${size}`);

  await internet.slow(2 * 1024 * 1024);
  const slowly = await seconds('large');
  t.true(slowly > 1.5 && slowly < 9, `${slowly} s`);
  await internet.slow(undefined);

  await internet.cut('refused');
  await t.throwsAsync(seconds('page'), { message: /Connection refused/ });
  await internet.cut('silent');
  const began = performance.now();
  await t.throwsAsync(seconds('page'));
  t.true(performance.now() - began > 9_000, 'nothing comes back until one gives up');
  await internet.restore();
  await seconds('page');
});

test.serial('a daemon that is killed stays down until it is started; pods do not notice', async (t) => {
  const [node] = cluster.nodes as [ClusterNode];
  for (const daemon of daemons) {
    await node.killDaemon(daemon);
    t.false(await node.place.isRunning(daemon));
    await node.startDaemon(daemon);
    t.true(await node.place.isRunning(daemon));
  }
  await cluster.untilReady(node);
  t.is(await restartsOn(node), '0');
  // A kubelet knows its pods when it has synchronised.
  await until(async () => (await cluster.pods.exec({ name: 'web-1' }, ['hostname'])).stdout, /^web-1$/m);
});

test.serial(
  'a node comes back from a loss of power, its pods too, while kube-proxy comes late',
  async (t) => {
    const node = cluster.nodes[1]!;
    writeFileSync(node.path('/etc/kept'), 'kept');
    await node.run(['touch', '/run/not-kept']);
    await node.powerOff();
    t.false(await node.place.isThere());
    await node.boot({ late: ['kube-proxy'] });
    t.is(await node.run(['cat', '/etc/kept']), 'kept');
    await t.throwsAsync(node.run(['cat', '/run/not-kept']));
    await until(() => restartsOn(node), /^1$/);
    t.false(await node.place.isRunning('kube-proxy'));
    await node.startDaemon('kube-proxy');
    await cluster.untilReady(node);
    await cluster.pods.waitFor({ labels: 'app=web', count: 2 });
    t.regex(await fetchFromPod('web-2', 'http://web/name'), /^web-[12]$/);
  },
);

test.serial(
  'the API server is away for a while: pods go on, also by the address of their Service',
  async (t) => {
    const { spec } = await cluster.adminFetch<ServiceObject>('/api/v1/namespaces/default/services/web');
    await cluster.controlPlane.kill('kube-apiserver');
    await t.throwsAsync(cluster.adminFetch('/readyz'));
    t.regex(await cluster.nodes[0]!.run([...fetch, `http://${spec.clusterIP}/name`]), /^web-[12]$/);
    await cluster.controlPlane.startServer('kube-apiserver');
    await cluster.controlPlane.untilReady(cluster);
    await cluster.pods.waitFor({ labels: 'app=web', count: 2 });
  },
);

test.serial(
  'a node that joins later has its taints and labels from the first moment, and its pods reach others',
  async (t) => {
    const taint = { key: 'startup.example/agent-not-ready', effect: 'NoSchedule' };
    const node = await cluster.addNode({ taints: [taint], labels: { 'example/pool': 'later' } });
    const { metadata, spec } = await cluster.adminFetch<NodeObject>(`/api/v1/nodes/${node.name}`);
    t.like(
      spec.taints?.find(({ key }) => key === taint.key),
      taint,
    );
    t.is(metadata.labels['example/pool'], 'later');
    await cluster.apply(webPod('web-3', node.name));
    const pods = await cluster.pods.waitFor({ labels: 'app=web', count: 3 });
    const first = pods.find((pod) => pod.metadata.name === 'web-1');
    t.is(await fetchFromPod('web-3', `http://${first?.status.podIP}:8080/name`), 'web-1');
  },
);

test.serial('who has the folder has the cluster', async (t) => {
  const again = await openCluster(folder);
  t.deepEqual(
    again?.nodes.map(({ name }) => name),
    ['node-1', 'node-2', 'node-3'],
  );
  t.is(await again?.nodes[2]?.run(['hostname']), 'node-3\n');
  await again?.close();
  await t.throwsAsync(startCluster({ folder }), { message: `There is a cluster in ${folder} already` });
});

test.serial(
  'afterwards nothing is left: no process, namespace, mount, link, control group or file',
  async (t) => {
    const traces = { ...(await tracesOf(folder)), machine: before.machine };
    t.true(traces.pids.length > 20);
    t.true(traces.namespaces.length > 20, 'those of the pods too');
    await cluster.stop();
    t.deepEqual(leftOf(traces), []);
  },
);

/** Gives the internet a server, by a name. */
async function serveInternet(): Promise<void> {
  const { place } = cluster.internet;
  writeFileSync(join(place.folder, 'page'), 'of the internet');
  cluster.internet.setNames({ 'registry.example': '192.88.99.10' });
  const command = ['busybox', 'httpd', '-f', '-p', '192.88.99.10:80', '-h', place.folder];
  await place.startDaemon('web', { command });
}

async function fetchFromPod(name: string, url: string): Promise<string> {
  return (await cluster.pods.exec({ name }, [...fetch, url])).stdout;
}

/** How often the pod that serves its name on a node was started again. */
async function restartsOn(node: ClusterNode): Promise<string> {
  const pods = await cluster.pods.list({ labels: 'app=web' });
  const pod = pods.find(({ spec }) => spec.nodeName === node.name);
  return String(pod?.status.containerStatuses?.[0]?.restartCount);
}

/** What is not true at once. */
async function until(ask: () => Promise<string>, expected: RegExp): Promise<void> {
  await eventually(
    async () => {
      const got = await ask();
      if (!expected.test(got)) throw new Error(`Got ${JSON.stringify(got)}`);
    },
    { timeout: 60_000, interval: 200, message: `It was not ${expected}` },
  );
}

interface ServiceObject {
  spec: { clusterIP: string };
}

interface ClaimObject {
  spec: { volumeName: string; storageClassName: string };
}

interface NodeObject {
  metadata: { name: string; labels: Record<string, string> };
  spec: { taints?: { key: string; effect: string }[] };
  status: {
    nodeInfo: { kubeletVersion: string; containerRuntimeVersion: string };
    addresses: { type: string; address: string }[];
  };
}

/** Serves its own name. */
function webPod(name: string, node: string) {
  const script = `mkdir /tmp/web; printf ${name} > /tmp/web/name; echo serving ${name}; exec httpd -f -p 8080 -h /tmp/web`;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, labels: { app: 'web' } },
    spec: {
      nodeName: node,
      containers: [
        { name: 'web', image: toolsImage, imagePullPolicy: 'Never', command: ['sh', '-c', script] },
      ],
    },
  };
}

function storingSet(replicas: number) {
  const labels = { app: 'storing' };
  const container = {
    name: 'storing',
    image: toolsImage,
    imagePullPolicy: 'Never',
    command: ['sh', '-c', 'hostname > /data/file; exec sleep 3600'],
    securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
    readinessProbe: { exec: { command: ['test', '-e', '/data/file'] } },
    volumeMounts: [{ name: 'data', mountPath: '/data' }],
  };
  return {
    apiVersion: 'apps/v1',
    kind: 'StatefulSet',
    metadata: { name: 'storing' },
    spec: {
      replicas,
      podManagementPolicy: 'Parallel',
      serviceName: 'storing',
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
        spec: {
          terminationGracePeriodSeconds: 0,
          securityContext: {
            runAsNonRoot: true,
            runAsUser: 65532,
            fsGroup: 65532,
            seccompProfile: { type: 'RuntimeDefault' },
          },
          containers: [container],
        },
      },
      volumeClaimTemplates: [
        {
          metadata: { name: 'data' },
          spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
        },
      ],
    },
  };
}
