import assert from 'node:assert/strict';
import test, { type ExecutionContext } from 'ava';
import { eventually } from '../support/eventually.ts';
import { type Live, pathsOf, startWorld, type World } from '../support/operator-world.ts';
import { originalObjects, writeAsOriginal } from '../support/original-objects.ts';

const mapPath = '/api/v1/namespaces/default/configmaps/imageswap-maps';
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

async function assertAsFresh(t: ExecutionContext, adopted: string, fresh: string): Promise<void> {
  const [oldPaths, newPaths] = [pathsOf(adopted), pathsOf(fresh)];
  for (const key of ['service', 'headlessService', 'statefulSet', 'daemonSet', 'configSecret'] as const) {
    const [object, model] = [await world.get(oldPaths[key]), await world.get(newPaths[key])];
    t.deepEqual(comparable(object, adopted), comparable(model, fresh), key);
    const writers = object.metadata.managedFields.map(({ manager }: Live) => manager);
    t.false(writers.includes('OpenAPI-Generator'), key);
  }
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
  const oldPaths = pathsOf('adopted');
  const before = await world.get(oldPaths.service);
  const setBefore = await world.get(oldPaths.statefulSet);
  await world.patch(oldPaths.statefulSet, { metadata: { annotations: { 'team.example/owner': 'us' } } });

  world.start();
  await world.mirror('freshly', spec('freshly'));
  await world.settled('freshly');
  await world.settled('adopted');
  await world.quiet();

  await assertAsFresh(t, 'adopted', 'freshly');
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

test.serial('In scheme services, too, and the map that the original wrote is not touched', async (t) => {
  const { metadata } = await world.mirror('swapped', { upstreamUrl: 'swapped.example' });
  const owner = { name: 'swapped', uid: metadata.uid };
  const [service] = originalObjects(owner, '');
  await writeAsOriginal(world.plane, service);
  const before = await world.get(pathsOf('swapped').service);
  const others = originalObjects(owner, before.spec.clusterIP, { scheme: 'services' }).slice(1);
  for (const object of others) await writeAsOriginal(world.plane, object);
  const namespaced = { name: 'imageswap-maps', namespace: 'default' };
  const data = { maps: await mapOf(['adopted', 'freshly', 'swapped']) };
  await world.plane.apply({ apiVersion: 'v1', kind: 'ConfigMap', metadata: namespaced, data } as Live);
  const map = await world.get(mapPath);

  world.start({ ADDRESSING_SCHEME: 'services' });
  await world.settled('swapped');
  await world.quiet();
  const { resourceVersion } = (await world.get(mapPath)).metadata;
  t.is(resourceVersion, map.metadata.resourceVersion);
  t.is((await world.get(pathsOf('swapped').service)).spec.clusterIP, before.spec.clusterIP);

  await world.mirror('unswapped', { upstreamUrl: 'unswapped.example' });
  await world.settled('unswapped');
  await world.quiet();
  await assertAsFresh(t, 'swapped', 'unswapped');
  t.is((await world.get(mapPath)).data.maps, await mapOf(['adopted', 'freshly', 'swapped', 'unswapped']));
});

/** As the original writes it for these mirrors. */
async function mapOf(names: readonly string[]): Promise<string> {
  const lines = names.map(async (name) => {
    const { clusterIP } = (await world.get(pathsOf(name).service)).spec;
    return `mirror-${name}.example:${clusterIP}/mirror-${name}.example\n`;
  });
  return `default:\n${(await Promise.all(lines)).join('')}`;
}
