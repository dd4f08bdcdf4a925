/** What users install it for: pods on both nodes run images of many registries, and nothing in them knows of a mirror. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { loadAll } from 'js-yaml';
import { protectUpstream } from '../cluster/protect-upstream.ts';
import { eventually } from '../support/eventually.ts';
import {
  bytesOf,
  type InstalledCluster,
  installedCluster,
  isOfNode,
  type MirrorObject,
  sizeOf,
} from './installed-cluster.ts';
import { secondsSince } from './seconds-since.ts';

const file = join(import.meta.dirname, '../../examples/four-registries.yaml');
const mirrors = loadAll(readFileSync(file, 'utf8')) as MirrorObject[];
/** The host that a mirror's runtimes ask, and an image there as pods name it. */
const images: Readonly<Record<string, { host: string; repository: string; image: string }>> = {
  'docker-hub': { host: 'registry-1.docker.io', repository: 'library/app', image: 'app:1' },
  quay: { host: 'quay.io', repository: 'org/app', image: 'quay.io/org/app:1' },
  github: { host: 'ghcr.io', repository: 'org/app', image: 'ghcr.io/org/app:1' },
  kubernetes: { host: 'registry.k8s.io', repository: 'app', image: 'registry.k8s.io/app:1' },
};
const privateHost = 'private.example';
/** Of another domain than the registry. */
const tokenHost = 'auth.example';
const user = { username: 'reader', password: 'of-the-private-one' };

let world: InstalledCluster;

test.before(async (t) => {
  t.timeout(1_800_000, 'the programs and the image may have to be built first');
  const upstreams = [...Object.values(images).map(({ host }) => host), privateHost];
  world = await installedCluster({ name: 'pulls', upstreams, volumes: 3 });
  t.log(`Two operators Ready after ${world.installSeconds.toFixed(1)} s`);
});
test.after.always(() => world?.cluster.stop());

test.serial('four registries are mirrored transparently from one YAML file', async (t) => {
  const began = Date.now();
  for (const { metadata, spec } of mirrors) await world.mirror(metadata.name, spec);
  await world.untilServing(...Object.keys(images));
  t.log(`Four mirrors serve, nodes wired, after ${secondsSince(began)} s`);
  for (const [mirror, { host, repository, image }] of Object.entries(images)) {
    const pushed = await world.push(host, repository, { size: 3_000_000 });
    const pods = await world.rollOut(mirror, { image });
    t.deepEqual(new Set(pods.map(({ spec }) => spec.nodeName)).size, 2, 'on both nodes');
    t.deepEqual(world.directRequests(host), [], `${host} saw a node`);
    const bytes = bytesOf(world.blobRequests(host));
    t.true(
      bytes > 3_000_000 && bytes <= sizeOf(pushed),
      `${bytes} bytes: each blob once, for all nodes and replicas`,
    );
  }
  t.log(`Pods of all four run on both nodes after ${secondsSince(began)} s`);
});

test.serial('kubectl get rm shows each one in use, on all nodes', async (t) => {
  for (const { metadata } of mirrors) await world.untilCondition(metadata.name, 'InUse', 'True', 120_000);
  for (const row of await world.table()) t.like(row, { Ready: 'True', 'In use': 'True', Nodes: '2/2' });
});

test.serial('a mirror is reached by its alias, as mirror-operator’s users write it', async (t) => {
  await world.push('quay.io', 'org/other');
  await world.rollOut('alias', { image: 'mirror-quay.io/org/other:1' });
  const asked = world.upstream('quay.io').requests();
  t.deepEqual(asked.filter(isOfNode), []);
  t.true(asked.some(({ path }) => path.includes('/org/other/blobs/')));
});

test.serial(
  'a pod with its own pull secret gets what the mirror may not read, and nobody else does',
  async (t) => {
    const { cluster } = world;
    for (const repository of ['public/app', 'team/app', 'team/later'])
      await world.push(privateHost, repository);
    const token = { name: tokenHost, address: world.freeAddress() };
    world.setName(token.name, token.address);
    const upstream = world.upstream(privateHost);
    await protectUpstream(cluster.internet, upstream, { ...token, ...user, publicPrefix: 'public' });
    await world.mirror('private', { upstreamUrl: privateHost, nodes: { wire: 'transparent' } });
    await world.untilServing('private');
    for (const namespace of ['team', 'others'])
      await cluster.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } });
    await cluster.apply(pullSecret('team'));

    await world.rollOut('public', { namespace: 'others', image: `${privateHost}/public/app:1` });
    const [first] = world.blobRequests(privateHost);
    t.true(first !== undefined && !isOfNode(first), 'what anybody may read comes from the mirror');

    const mark = world.mark(privateHost);
    const image = `${privateHost}/team/app:1`;
    await world.rollOut('own', { namespace: 'team', image, pullSecret: 'pull' });
    const asked = world.blobRequests(privateHost, mark);
    t.true(asked.length > 0);
    t.true(asked.every(isOfNode), 'the mirror got nothing of it');

    await world.deploy('stranger', { namespace: 'others', image });
    t.regex(
      await world.untilPullFails('stranger', 'others'),
      /not found|401|403|authorization|insufficient_scope|denied/i,
    );
  },
);

test.serial('a mirror with credentials reads it for everybody, as its access says', async (t) => {
  const data = Object.fromEntries(Object.entries(user).map(([key, value]) => [key, base64(value)]));
  await world.cluster.apply({ apiVersion: 'v1', kind: 'Secret', metadata: { name: 'reader' }, data });
  await world.patchMirror('private', { spec: { credentialsSecret: 'reader', access: 'shared' } });
  const [node] = world.cluster.nodes;
  const pull = () => node?.pull(`${privateHost}/team/later:1`);
  await eventually(
    async () => {
      await t.throwsAsync(async () => pull());
      const { reason } = await world.untilCondition('private', 'CredentialsValid', 'False', 100);
      assert.equal(reason, 'TokenServerNotNamed');
    },
    { timeout: 90_000, interval: 2000 },
  );
  await world.patchMirror('private', { spec: { tokenHosts: [tokenHost] } });
  const mark = world.mark(privateHost);
  // Kubelets bring changed configurations to the caches within a minute and a half.
  await eventually(pull, { timeout: 150_000, interval: 2000 });
  const asked = world.blobRequests(privateHost, mark);
  t.true(asked.length > 0);
  t.false(asked.some(isOfNode));
});

function pullSecret(namespace: string) {
  const auths = { [privateHost]: { auth: base64(`${user.username}:${user.password}`) } };
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 'pull', namespace },
    type: 'kubernetes.io/dockerconfigjson',
    data: { '.dockerconfigjson': base64(JSON.stringify({ auths })) },
  };
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64');
}
