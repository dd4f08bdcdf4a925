import assert from 'node:assert/strict';
import test from 'ava';
import { eventually } from '../support/eventually.ts';
import { type Live, pathsOf, startWorld, type World } from '../support/operator-world.ts';
import { originalObjects, writeAsOriginal } from '../support/original-objects.ts';

let world: World;
test.before(async () => {
  world = await startWorld();
});
test.afterEach.always(async (t) => {
  if (!t.passed) t.log(world.lastWords());
  await world.stopOperators();
});
test.after.always(() => world?.end());

/** What of an object says how it works, without what differs between two mirrors by name. */
function comparable(object: Live, name: string): unknown {
  const { spec, data } = object;
  const { clusterIP: _ip, clusterIPs: _ips, ...rest } = spec ?? {};
  const addresses = JSON.stringify({ spec: rest, keys: Object.keys(data ?? {}).sort() });
  return JSON.parse(
    addresses
      .replaceAll(name, 'NAME')
      .replace(/\d+\.\d+\.\d+\.\d+/g, 'ADDRESS')
      .replace(/"29\d{3}"/g, '"PORT"'),
  );
}

test.serial('Objects of the Python operator become what a fresh install makes', async (t) => {
  // As the original took it: None is a default, an empty name no Secret, and claims are spelled as in Python.
  const claim = { access_modes: ['ReadWriteOnce'], storage_class_name: null, volume_mode: 'Filesystem' };
  const spec = (name: string) => ({
    upstreamUrl: `${name}.example`,
    credentialsSecret: '',
    volumeClaimTemplate: { spec: claim },
  });
  const { metadata } = await world.mirror('adopted', spec('adopted'));
  for (const object of originalObjects({ name: 'adopted', uid: metadata.uid }, 'mirror-adopted.example')) {
    await writeAsOriginal(world.plane, object);
  }
  const [oldPaths, newPaths] = [pathsOf('adopted'), pathsOf('freshly')];
  const before = await world.get(oldPaths.service);
  const setBefore = await world.get(oldPaths.statefulSet);
  await world.patch(oldPaths.statefulSet, { metadata: { annotations: { 'team.example/owner': 'us' } } });

  world.start();
  await world.mirror('freshly', spec('freshly'));
  await world.settled('freshly');
  await world.settled('adopted');
  await world.quiet();

  for (const key of ['service', 'headlessService', 'statefulSet', 'daemonSet', 'configSecret'] as const) {
    const [adopted, fresh] = [await world.get(oldPaths[key]), await world.get(newPaths[key])];
    t.deepEqual(comparable(adopted, 'adopted'), comparable(fresh, 'freshly'), key);
    const writers = adopted.metadata.managedFields.map(({ manager }: Live) => manager);
    t.false(writers.includes('OpenAPI-Generator'), key);
  }
  const service = await world.get(oldPaths.service);
  t.is(service.spec.clusterIP, before.spec.clusterIP, 'the address stays');
  t.is(service.metadata.uid, before.metadata.uid);
  const set = await world.get(oldPaths.statefulSet);
  t.is(set.metadata.uid, setBefore.metadata.uid, 'claims and pods stay the set’s own');
  t.is(set.metadata.annotations['team.example/owner'], 'us');
  t.is(set.metadata.annotations['k8s.osp.tech/adopted'], 'true', 'its credentials need no label');
  t.true(set.metadata.ownerReferences[0].controller);
  for (const name of ['adopted', 'freshly']) await world.condition(name, 'Stalled', 'Working');
});

test.serial('What was adopted is not written again at a restart', async (t) => {
  world.proxy.reset();
  world.start();
  // Its Lease is the first write: then it leads, and the mirrors are looked at.
  await eventually(() => assert.ok(world.proxy.requests.some(({ path }) => path.includes('/leases/'))));
  await world.quiet(1_500);
  t.deepEqual(world.proxy.writes(), []);
});
