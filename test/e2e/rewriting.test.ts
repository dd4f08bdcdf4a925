/** Scheme `services`: pods' images are rewritten to the mirror's Service, by the API server's own policy and by our webhook, and nodes pull there. */
import assert from 'node:assert/strict';
import test, { type ExecutionContext } from 'ava';
import { eventually } from '../support/eventually.ts';
import { type InstalledCluster, installedCluster, webhookLabels } from './installed-cluster.ts';
import { triedImage } from './tried-image.ts';

const host = 'quay.io';
let world: InstalledCluster;
let address: string;

test.before(async (t) => {
  t.timeout(1_800_000, 'the programs and the image may have to be built first');
  const components = ['services', 'rewriting', 'policy'];
  world = await installedCluster({ name: 'rewriting', upstreams: [host], components });
});
test.after.always(() => world?.cluster.stop());

test.serial(
  'the API server rewrites images by the policy, and both nodes pull from the mirror',
  async (t) => {
    await world.mirror('quay', { upstreamUrl: host, masqueradeUrl: host });
    await world.untilServing('quay');
    address = `${(await world.getMirror('quay')).status?.address}/${host}`;
    await untilRewritten('policy');
    await assertRollOut(t, 'policy');
  },
);

test.serial('the map for imageswap names the mirror', async (t) => {
  const path = '/api/v1/namespaces/default/configmaps/imageswap-maps';
  const { data } = await world.cluster.adminFetch<{ data: { maps: string } }>(path);
  t.true(data.maps.includes(host) && data.maps.includes(address), data.maps);
});

test.serial('the webhook does the same in its place', async (t) => {
  await world.install(['services', 'rewriting', 'webhook']);
  await world.cluster.pods.waitFor({ labels: webhookLabels, count: 2 });
  const registration = '/apis/admissionregistration.k8s.io/v1';
  await eventually(
    async () => {
      await assert.rejects(
        world.cluster.adminFetch(`${registration}/mutatingadmissionpolicies/registry-mirror-rewrite`),
        { code: 404 },
      );
      await world.cluster.adminFetch(
        `${registration}/mutatingwebhookconfigurations/registry-rewrite-webhook`,
      );
    },
    { timeout: 60_000 },
  );
  await untilRewritten('webhook');
  await assertRollOut(t, 'webhook');
});

/** Until a pod that is only tried gets the mirror's address. */
async function untilRewritten(name: string): Promise<void> {
  const image = `org/${name}:1`;
  const tried = () => triedImage(world.cluster, `${host}/${image}`);
  await eventually(async () => assert.equal(await tried(), `${address}/${image}`), {
    timeout: 60_000,
  });
}

async function assertRollOut(t: ExecutionContext, name: string): Promise<void> {
  const mark = world.mark(host);
  await world.push(host, `org/${name}`);
  await world.rollOut(name, { image: `${host}/org/${name}:1` });
  const asked = world.upstream(host).requests().slice(mark);
  t.true(asked.some(({ path }) => path.includes('/blobs/')));
  t.deepEqual(world.directRequests(host, mark), []);
}
