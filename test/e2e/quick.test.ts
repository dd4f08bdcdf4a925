/** The main job from end to end, in a minute: `make test` runs it where the cluster's programs are built. */
import test from 'ava';
import { BeforeInstall } from './before-install.ts';
import { bytesOf, type InstalledCluster, installedCluster, mirrorPath, sizeOf } from './installed-cluster.ts';

const host = 'registry.example';
let world: InstalledCluster;

test.before(async (t) => {
  t.timeout(1_800_000, 'the programs and the image may have to be built first');
  world = await installedCluster({ name: 'quick', upstreams: [host], install: false });
});
test.after.always(() => world?.cluster.stop());

test.serial(
  'installed, a mirror serves pods of two nodes from one download, and is taken back',
  async (t) => {
    const { cluster } = world;
    const before = await BeforeInstall.of(cluster);
    await world.install();
    await world.mirror('hub', { upstreamUrl: host, nodes: { wire: 'transparent' } });
    await world.untilServing('hub');
    before.assertWired(t);
    const image = await world.push(host, 'app', { size: 3_000_000 });
    const pods = await world.rollOut('app', { image: `${host}/app:1` });
    t.is(new Set(pods.map(({ spec }) => spec.nodeName)).size, 2, 'on both nodes');
    t.deepEqual(world.directRequests(host), []);
    const bytes = bytesOf(world.blobRequests(host));
    t.true(bytes > 3_000_000 && bytes <= sizeOf(image), `${bytes} bytes`);

    await cluster.adminFetch(mirrorPath('hub'), { method: 'DELETE' });
    await world.untilNoMirrors();
    before.assertNodesAsBefore(t);
  },
);
