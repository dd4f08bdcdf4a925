/** The whole system where users have it: our image from our Dockerfile, installed from deploy/, pulls on two nodes. */
import { appendFileSync } from 'node:fs';
import test from 'ava';
import type { Cluster } from '../cluster/cluster.ts';
import { startCluster } from '../cluster/start-cluster.ts';
import { startUpstream, type Upstream } from '../cluster/upstream.ts';
import { ownImageArchive } from '../image/program.ts';
import type { KubeObject } from '../kubernetes/api-request.ts';
import { eventually } from '../support/eventually.ts';
import { makeImage } from '../support/images.ts';
import { kustomizeBuild } from '../support/kustomize.ts';
import { clusterFolder } from './folder.ts';

const name = 'registry.example';
const image = makeImage({ tag: '1', seed: 'install', layerSizes: [3_000_000, 20_000_000] });
let cluster: Cluster;
let upstream: Upstream;

test.before(async (t) => {
  t.timeout(1_800_000, 'the programs and the image may have to be built first');
  const archive = await ownImageArchive();
  cluster = await startCluster({ folder: clusterFolder('install') });
  upstream = await startUpstream(cluster.internet, { name, address: '192.88.99.10' });
  cluster.internet.setNames({ [name]: '192.88.99.10' });
  for (const node of cluster.nodes) {
    appendFileSync(node.path('/etc/ssl/certs/ca-certificates.crt'), upstream.authority.certificatePem);
    await node.restartDaemon('containerd');
  }
  await upstream.push('app', image);
  await cluster.importImage(archive);
});
test.after.always(() => cluster?.stop());

test.serial(
  'installed from deploy/base, two operators run, and a mirror from one YAML wires both nodes',
  async (t) => {
    const began = Date.now();
    for (const object of await kustomizeBuild([])) await eventually(() => cluster.apply(object));
    await cluster.pods.waitFor({ labels: 'app.kubernetes.io/name=registry-mirror-operator', count: 2 });
    t.log(`Two operators Ready after ${seconds(began)} s`);
    await cluster.apply({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'internet-ca' },
      data: { 'ca.crt': upstream.authority.certificatePem },
    });
    await eventually(() => cluster.apply(mirror), { timeout: 20_000 });
    await untilReady(90_000);
    t.log(`Mirror Ready and nodes wired after ${seconds(began)} s`);
    for (const node of cluster.nodes) await node.pull(`${name}/app:1`);
    t.log(`Pulled on both nodes after ${seconds(began)} s`);
    const blobs = upstream
      .requests()
      .filter(({ method, path }) => method === 'GET' && path.includes('/blobs/'));
    const bytes = blobs.reduce((sum, each) => sum + each.bytes, 0);
    const size = image.blobs.reduce((sum, { content }) => sum + content.length, 0);
    t.log(`${blobs.length} requests for blobs, ${(bytes / size).toFixed(3)} times the image`);
    t.true(bytes <= 1.02 * size, `${bytes} bytes for an image of ${size}`);
  },
);

const mirror: KubeObject = {
  apiVersion: 'k8s.osp.tech/v1',
  kind: 'RegistryMirror',
  metadata: { name: 'example' },
  spec: {
    upstreamUrl: name,
    upstreamCA: { name: 'internet-ca' },
    nodes: { wire: 'transparent' },
    volumeClaimTemplate: { spec: { resources: { requests: { storage: '1Gi' } } } },
  },
};

interface MirrorObject {
  status?: { conditions?: { type: string; status: string; reason: string; message: string }[] };
}

async function untilReady(timeout: number): Promise<void> {
  await eventually(
    async () => {
      const { status } = await cluster.adminFetch<MirrorObject>(
        '/apis/k8s.osp.tech/v1/registrymirrors/example',
      );
      const conditions = status?.conditions ?? [];
      for (const type of ['Ready', 'NodesWired'])
        if (conditions.find((each) => each.type === type)?.status !== 'True')
          throw new Error(JSON.stringify(conditions, null, 1));
    },
    { timeout, interval: 200, message: 'The mirror was not Ready' },
  );
}

function seconds(since: number): string {
  return ((Date.now() - since) / 1000).toFixed(1);
}
