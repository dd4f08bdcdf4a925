import assert from 'node:assert/strict';
import test from 'ava';
import { eventually } from '../support/eventually.ts';
import { type Live, pathsOf, startWorld, type World } from '../support/operator-world.ts';

let world: World;
test.before(async () => {
  world = await startWorld();
});
test.afterEach.always(async (t) => {
  if (!t.passed) t.log(world.lastWords());
  await world.stopOperators();
});
test.after.always(() => world?.end());

const labels = (name: string) => ({ app: 'docker-registry', mirror: name });

test.serial('A new mirror becomes the objects of the contract, in at most 10 requests', async (t) => {
  world.start();
  await world.mirror('first', { upstreamUrl: 'gcr.io' });
  await world.settled('first');
  await world.quiet();
  world.proxy.reset();

  await world.mirror('hub', { upstreamUrl: 'docker.io', masqueradeUrl: 'hub.example' });
  const mirror = await world.settled('hub');
  await world.quiet();

  const made = world.proxy.requests.filter(({ path }) => !path.includes('/leases'));
  t.log(made.map(({ verb, path }) => `${verb} ${path}`).join('\n'));
  t.true(made.length <= 10, `${made.length} requests`);
  t.deepEqual(mirror.metadata.labels, { mirror: 'hub' });
  t.deepEqual(mirror.metadata.finalizers, ['k8s.osp.tech/undo-nodes']);
  await assertContract(t, 'hub', mirror);
});

async function assertContract(t: Live, name: string, mirror: Live): Promise<void> {
  const paths = pathsOf(name);
  const service = await world.get(paths.service);
  t.deepEqual(service.spec.selector, { ...labels(name), component: 'registry' });
  t.like(service.spec.ports[0], { name: 'https', port: 443, targetPort: 'https' });
  t.deepEqual(mirror.status.clusterIPs, service.spec.clusterIPs);
  t.is(mirror.status.address, service.spec.clusterIP);
  t.true(mirror.status.nodePort > 29_000 && mirror.status.nodePort <= 29_999);
  const headless = await world.get(paths.headlessService);
  t.is(headless.spec.clusterIP, 'None');
  const set = await world.get(paths.statefulSet);
  t.is(set.spec.serviceName, `registry-mirror-${name}-headless`);
  t.is(set.spec.replicas, 2);
  t.is(set.spec.podManagementPolicy, 'Parallel');
  t.deepEqual(set.spec.selector.matchLabels, labels(name));
  t.is(set.spec.volumeClaimTemplates[0].metadata.name, 'image-store');
  t.is(set.spec.volumeClaimTemplates[0].spec.resources.requests.storage, '20Gi');
  const daemonSet = await world.get(paths.daemonSet);
  t.deepEqual(daemonSet.spec.selector.matchLabels, labels(name));
  t.is(daemonSet.spec.template.metadata.labels.component, 'hostess-certificate');
  const budget = await world.get(paths.disruptionBudget);
  const { maxUnavailable, unhealthyPodEvictionPolicy, selector } = budget.spec;
  t.deepEqual([maxUnavailable, unhealthyPodEvictionPolicy], [1, 'AlwaysAllow']);
  t.deepEqual(selector, { matchLabels: { ...labels(name), component: 'registry' } });
  const config = await world.get(paths.configSecret);
  t.deepEqual(Object.keys(config.data).sort(), ['broker.json', 'ca.crt', 'default.conf', 'nginx.conf']);
  for (const path of Object.values(paths)) {
    if (path === paths.mirror) continue;
    const { metadata } = await world.get(path);
    t.like(metadata.labels, labels(name), path);
    t.like(metadata.ownerReferences[0], { kind: 'RegistryMirror', name, uid: mirror.metadata.uid }, path);
  }
  const listed = ['services', 'daemonsets', 'statefulsets'].map((plural) => {
    const root = plural === 'services' ? '/api/v1' : '/apis/apps/v1';
    return world.get(`${root}/namespaces/default/${plural}?labelSelector=mirror=${name}`);
  });
  const found = (await Promise.all(listed)).map(({ items }) => items.length);
  t.deepEqual(found, [2, 1, 1]);
  const mirrors = await world.get(`/apis/k8s.osp.tech/v1/registrymirrors?labelSelector=mirror=${name}`);
  t.is(mirrors.items.length, 1);
}

test.serial('A restart makes no write but the Lease and at most 23 requests', async (t) => {
  const first = world.start({ ADDRESSING_SCHEME: 'services' });
  for (const name of ['a', 'b', 'c']) await world.mirror(name, { upstreamUrl: `${name}.example` });
  for (const name of ['a', 'b', 'c']) await world.settled(name);
  await world.quiet();
  t.is(await first.stop(), 0);
  const lease = '/apis/coordination.k8s.io/v1/namespaces/default/leases/registry-mirror-operator';
  t.is((await world.get(lease)).spec.holderIdentity, '', 'the lease is given back');
  world.proxy.reset();

  world.start({ ADDRESSING_SCHEME: 'services' });
  await eventually(() => {
    if (!world.proxy.requests.some(({ verb, path }) => verb === 'update' && path === lease))
      throw new Error();
  });
  await world.quiet();

  t.deepEqual(world.proxy.writes(), []);
  t.log(`${world.proxy.requests.length} requests`);
  t.true(world.proxy.requests.length <= 23, `${world.proxy.requests.length} requests`);
});

test.serial(
  'Drift, deletion and foreign edits of our fields are repaired within 2 s, others’ fields stay',
  async (t) => {
    world.start();
    await world.mirror('drift', { upstreamUrl: 'quay.io', masqueradeUrl: 'drift.example' });
    const mirror = await world.settled('drift');
    await world.quiet();
    const paths = pathsOf('drift');
    const before = await world.get(paths.statefulSet);

    await world.patch(paths.statefulSet, {
      metadata: { annotations: { 'someone.example/note': 'kept' } },
      spec: { replicas: 5, template: { spec: { terminationGracePeriodSeconds: 1 } } },
    });
    await eventually(async () => assert.equal((await world.get(paths.statefulSet)).spec.replicas, 2), {
      timeout: 2_000,
    });
    const after = await world.get(paths.statefulSet);
    t.is(after.metadata.annotations['someone.example/note'], 'kept');
    t.deepEqual(after.spec.template, before.spec.template);

    await world.patch(paths.service, { spec: { selector: { extra: 'key' } } });
    await eventually(
      async () =>
        assert.deepEqual((await world.get(paths.service)).spec.selector, {
          ...labels('drift'),
          component: 'registry',
        }),
      { timeout: 2_000 },
    );

    await world.delete(paths.service);
    const again = await eventually(
      async () => {
        const service = await world.get(paths.service);
        assert.notEqual(service.metadata.uid, undefined);
        return service;
      },
      { timeout: 2_000 },
    );
    t.deepEqual(again.spec.clusterIPs, mirror.status.clusterIPs, 'the address is asked for again');

    await world.patch(paths.daemonSet, { metadata: { labels: { app: null } } });
    await eventually(
      async () => assert.equal((await world.get(paths.daemonSet)).metadata.labels.app, 'docker-registry'),
      {
        timeout: 2_000,
      },
    );

    const budget = await world.get(paths.disruptionBudget);
    const theirs = { maxUnavailable: null, minAvailable: 2 };
    const narrowed = { selector: { matchExpressions: [{ key: 'extra', operator: 'Exists' }] } };
    for (const spec of [theirs, narrowed]) {
      await world.patch(paths.disruptionBudget, { spec });
      await eventually(
        async () => assert.deepEqual((await world.get(paths.disruptionBudget)).spec, budget.spec),
        { timeout: 2_000 },
      );
    }

    const { mirror: _itself, service: _asked, ...owned } = paths;
    for (const path of Object.values(owned)) {
      await world.delete(path);
      await eventually(() => world.get(path), { timeout: 2_000, message: `${path} was not made again` });
    }
  },
);

test.serial('A change of the mirror reaches its objects and one that is scaled stays so', async (t) => {
  world.start();
  await world.mirror('scaled', { upstreamUrl: 'quay.io', masqueradeUrl: 'scaled.example' });
  await world.settled('scaled');
  const paths = pathsOf('scaled');

  await world.patch(`${paths.mirror}/scale`, { spec: { replicas: 3 } });
  await eventually(async () => assert.equal((await world.get(paths.statefulSet)).spec.replicas, 3));

  await world.patch(paths.mirror, { spec: { masqueradeUrl: 'other.example', cache: { tagTTL: '5m' } } });
  await world.settled('scaled');
  const config = await world.get(paths.configSecret);
  const broker = JSON.parse(Buffer.from(config.data['broker.json'], 'base64').toString());
  t.is(broker.mirrors[0].tagTtlSeconds, 300);
  t.is((await world.get(paths.mirror)).status.masquerade, 'other.example');
});

test.serial('A Service that is deleted again and again has its address each time', async (t) => {
  world.start();
  await world.mirror('kept', { upstreamUrl: 'quay.io', masqueradeUrl: 'kept.example' });
  const { status } = await world.settled('kept');
  const paths = pathsOf('kept');
  for (let round = 0; round < 10; round += 1) {
    const { metadata } = await world.get(paths.service);
    await world.delete(paths.service);
    const again = await eventually(async () => {
      const service = await world.get(paths.service);
      assert.notEqual(service.metadata.uid, metadata.uid);
      return service;
    });
    t.is(again.spec.clusterIP, status.address, `round ${round}`);
  }
});

test.serial('A lost address that is taken meanwhile is replaced, with an event', async (t) => {
  const operator = world.start();
  await world.mirror('lost', { upstreamUrl: 'quay.io', masqueradeUrl: 'lost.example' });
  const mirror = await world.settled('lost');
  await operator.stop();
  const paths = pathsOf('lost');
  await world.delete(paths.service);
  await world.plane.apply({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'thief', namespace: 'default' },
    spec: { clusterIP: mirror.status.address, ports: [{ port: 80, protocol: 'TCP' }] },
  } as Live);

  world.start();
  const service = await eventually(() => world.get(paths.service));
  t.not(service.spec.clusterIP, mirror.status.address);
  await eventually(async () => {
    assert.equal((await world.get(paths.mirror)).status.address, service.spec.clusterIP);
    assert.ok((await world.warnings('lost')).some(({ reason }) => reason === 'ClusterIPChanged'));
    const { containers } = (await world.get(paths.daemonSet)).spec.template.spec;
    const addresses = containers[0].env.find(({ name }: Live) => name === 'MIRROR_ADDRESSES');
    assert.equal(addresses.value, service.spec.clusterIP);
  });
});
