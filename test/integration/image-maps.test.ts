/** ImageMaps and imageswap's map on a real API server: what is told of them, what is in force, and how little is written. */
import assert from 'node:assert/strict';
import test from 'ava';
import { eventually } from '../support/eventually.ts';
import { type Live, startWorld, type World } from '../support/operator-world.ts';
import { type RuleReconcilers, startRuleReconcilers } from '../support/rule-reconcilers.ts';

const crdFile = 'crds/imagemaps.mapper.imagerelocation.pivotal.io.yaml';
const group = 'mapper.imagerelocation.pivotal.io';
const crdPath = `/apis/apiextensions.k8s.io/v1/customresourcedefinitions/imagemaps.${group}`;
const configMapPath = '/api/v1/namespaces/default/configmaps/imageswap-maps';

let world: World;
let reconcilers: RuleReconcilers;

test.before(async () => {
  world = await startWorld({ withoutCrd: true });
  // The CRD of RegistryMirror is missing all the time, that of ImageMap at first.
  reconcilers = await startRuleReconcilers(world.proxy.access);
});
test.afterEach.always((t) => {
  if (!t.passed) t.log(reconcilers?.log.slice(-40).join(''));
});
test.after.always(async () => {
  await reconcilers?.stop();
  await world?.end();
});

test.serial('Without the CRD nothing fails and nothing is written; with it, maps are told', async (t) => {
  await quiet();
  t.deepEqual(world.proxy.writes(), []);
  await world.plane.applyCrd(crdFile);
  await namespace('first');
  await apply('first', 'boot', { nginx: 'r.io/nginx' });
  const map = await settled('first', 'boot', 'True');
  t.is(map.status.observedGeneration, 1);
  const [ready, ...others] = map.status.conditions;
  t.deepEqual(
    Object.keys(ready).sort(),
    ['observationTime', 'status', 'type'],
    'no message, as the original',
  );
  t.is(others.length, 0);
  t.is(map.metadata.finalizers, undefined);
  t.is(reconcilers.result('nginx', 'first'), 'r.io/nginx');
  t.is(reconcilers.result('nginx', 'default'), 'nginx');
});

test.serial('The older of two maps wins, and the other is told why in the original’s words', async (t) => {
  await namespace('conflict');
  await apply('conflict', 'zz-older', { b: 'r/1', a: 'r/2', same: 'r/3' });
  await settled('conflict', 'zz-older', 'True');
  await nextSecond();
  await apply('conflict', 'newer', { b: 's/1', a: 's/2', same: 'r/3', own: 's/4' });
  const { status, metadata } = await settled('conflict', 'newer', 'False');
  const message =
    'imagemap "newer" in namespace "conflict" was rejected: it maps "a" to "s/2" but zz-older maps "a" to "r/2", it maps "b" to "s/1" but zz-older maps "b" to "r/1"';
  t.is(status.conditions[0].message, message);
  t.is(reconcilers.result('a', 'conflict'), 'r/2');
  t.is(reconcilers.result('own', 'conflict'), 'own', 'all of it is out of force');
  const warnings = await eventsOf('conflict', metadata.uid);
  t.deepEqual(
    warnings.map(({ type, reason, message: said }: Live) => [type, reason, said]),
    [['Warning', 'Rejected', message]],
  );
});

test.serial('Of two maps of one age the name decides, also after a restart', async (t) => {
  await namespace('twins');
  // Both in one second, whatever that takes.
  await eventually(async () => {
    await Promise.all([apply('twins', 'b', { nginx: 'r/b' }), apply('twins', 'a', { nginx: 'r/a' })]);
    const [a, b] = await Promise.all([get('twins', 'a'), get('twins', 'b')]);
    if (a.metadata.creationTimestamp === b.metadata.creationTimestamp) return;
    await Promise.all([remove('twins', 'a'), remove('twins', 'b')]);
    assert.fail('not of one age');
  });
  await settled('twins', 'a', 'True');
  await settled('twins', 'b', 'False');
  const before = await Promise.all([get('twins', 'a'), get('twins', 'b')]);
  await quiet();
  world.proxy.reset();
  await reconcilers.stop();
  reconcilers = await startRuleReconcilers(world.proxy.access);
  await quiet();
  t.deepEqual(world.proxy.writes(), [], 'a restart writes nothing');
  t.deepEqual(await Promise.all([get('twins', 'a'), get('twins', 'b')]), before);
  t.is(reconcilers.result('nginx', 'twins'), 'r/a');
});

test.serial('A rejected map comes into force the moment the conflict is gone', async (t) => {
  await namespace('gone');
  await apply('gone', 'older', { nginx: 'r/1' });
  await settled('gone', 'older', 'True');
  await nextSecond();
  await apply('gone', 'newer', { nginx: 'r/2' });
  await settled('gone', 'newer', 'False');

  await remove('gone', 'older');
  const { metadata, status } = await settled('gone', 'newer', 'True');
  t.is(reconcilers.result('nginx', 'gone'), 'r/2');
  t.is(status.conditions[0].message, undefined);
  t.is(metadata.generation, 1, 'nobody touched it');
});

test.serial('An update that is rejected takes the version before out of force', async (t) => {
  await namespace('update');
  await apply('update', 'older', { nginx: 'r/1' });
  await settled('update', 'older', 'True');
  await nextSecond();
  await apply('update', 'newer', { redis: 'r/2' });
  await settled('update', 'newer', 'True');
  t.is(reconcilers.result('redis', 'update'), 'r/2');

  await apply('update', 'newer', { redis: 'r/2', nginx: 'r/3' });
  const { status } = await settled('update', 'newer', 'False');
  t.is(status.observedGeneration, 2);
  t.is(reconcilers.result('redis', 'update'), 'redis');
  t.is(reconcilers.result('nginx', 'update'), 'r/1');

  await apply('update', 'newer', { redis: 'r/2' });
  await settled('update', 'newer', 'True');
  t.is(reconcilers.result('redis', 'update'), 'r/2');
});

test.serial('What is odd and harmless is an event, once, and not in the status', async (t) => {
  await namespace('odd');
  await apply('odd', 'odd', { nginx: '', redis: 'redis' });
  const { status, metadata } = await settled('odd', 'odd', 'True');
  t.is(status.conditions[0].message, undefined);
  const [event, ...others] = await eventually(async () => {
    const found = await eventsOf('odd', metadata.uid);
    assert.notEqual(found.length, 0);
    return found;
  });
  t.is(others.length, 0);
  t.is(event.reason, 'LineWithoutEffect');
  t.regex(event.message, /^"nginx" stays: "" is no image reference; "redis" is mapped to itself/);
  t.is(reconcilers.result('nginx', 'odd'), 'nginx');
});

test.serial(
  'A map of the original loses its finalizer, keeps its status, and is deleted at once',
  async (t) => {
    await namespace('adopted');
    await reconcilers.stop();
    const map = await apply(
      'adopted',
      'boot',
      { nginx: 'r/1' },
      { finalizers: [group, 'example.com/other'] },
    );
    const status = {
      observedGeneration: map.metadata.generation,
      conditions: [{ type: 'Ready', status: 'True', observationTime: '2020-01-01T00:00:00Z' }],
    };
    await world.patch(`${pathOf('adopted', 'boot')}/status`, { status });
    await apply('adopted', 'leaving', { nginx: 'r/2' }, { finalizers: [group] });
    await remove('adopted', 'leaving');
    t.truthy(await world.find(pathOf('adopted', 'leaving')), 'held by the finalizer');
    await quiet();
    world.proxy.reset();

    reconcilers = await startRuleReconcilers(world.proxy.access);
    await eventually(async () => assert.equal(await world.find(pathOf('adopted', 'leaving')), undefined));
    await quiet();
    const after = await get('adopted', 'boot');
    t.deepEqual(after.metadata.finalizers, ['example.com/other']);
    t.deepEqual(after.status, status);
    const made = world.proxy.writes().filter(({ path }) => path.includes('/imagemaps/'));
    t.is(made.length, 2, 'one for each finalizer');
    t.is(reconcilers.result('nginx', 'adopted'), 'r/1', 'what was being deleted was in nobody’s way');
    await world.patch(pathOf('adopted', 'boot'), { metadata: { finalizers: [group] } });
    await remove('adopted', 'boot');
    await eventually(async () => assert.equal(await world.find(pathOf('adopted', 'boot')), undefined));
  },
);

test.serial('A status that somebody else empties is put back', async (t) => {
  await namespace('drift');
  await apply('drift', 'boot', { nginx: 'r/1' });
  await settled('drift', 'boot', 'True');
  await world.patch(`${pathOf('drift', 'boot')}/status`, {
    status: { conditions: [{ type: 'Ready', status: 'False', message: 'by hand' }] },
  });
  await reconcilers.stop();
  reconcilers = await startRuleReconcilers(world.proxy.access);
  await settled('drift', 'boot', 'True');
  t.pass();
});

test.serial('200 maps are written once each, and then nothing is', async (t) => {
  const count = 200;
  await namespace('many');
  await quiet();
  world.proxy.reset();
  const names = Array.from({ length: count }, (_, index) => `map-${index}`);
  // Every tenth wants what the first one has, every other tenth has a line without effect.
  const linesOf = (index: number): Record<string, string> => {
    if (index > 0 && index % 10 === 0) return { 'app-0': `r/${index}` };
    return { [`app-${index}`]: index % 10 === 5 ? `app-${index}` : `r/${index}` };
  };
  await apply('many', 'map-0', linesOf(0));
  await settled('many', 'map-0', 'True');
  await nextSecond();
  for (let at = 1; at < count; at += 20)
    await Promise.all(
      names.slice(at, at + 20).map((name, index) => apply('many', name, linesOf(at + index))),
    );
  await eventually(
    async () => {
      const { items } = await world.get(`/apis/${group}/v1alpha1/namespaces/many/imagemaps`);
      const found = items.map(({ status }: Live) => status?.conditions?.[0]?.status);
      assert.equal(found.filter((one: string) => one === 'True').length, 181);
      assert.equal(found.filter((one: string) => one === 'False').length, 19);
    },
    { timeout: 60_000 },
  );
  await quiet();
  const statuses = world.proxy.writes().filter(({ path }) => path.endsWith('/status'));
  const events = world.proxy.writes().filter(({ path }) => path.endsWith('/events'));
  t.log(`${statuses.length} writes of a status, ${events.length} events`);
  t.is(statuses.length, count);
  t.is(events.length, 19 + 20);

  world.proxy.reset();
  // What wakes the reconcilers and changes nothing.
  for (const name of names.slice(0, 5))
    await world.patch(pathOf('many', name), { metadata: { labels: { a: 'b' } } });
  await new Promise((resolve) => setTimeout(resolve, 3_000));
  t.deepEqual(world.proxy.writes(), []);
});

test.serial(
  'Bad lines of imageswap’s map are events of its ConfigMap, once each, and rules follow it',
  async (t) => {
    await putMap('default::', 'quay.io::r.io', 'nonsense');
    await rewrites('quay.io/a', 'r.io/a');
    const said = async () => (await mapEvents()).map(({ message }: Live) => message).sort();
    await eventually(async () => assert.deepEqual(await said(), ['line 3: expected KEY::VALUE']));
    const [event] = await mapEvents();
    t.like(event, { type: 'Warning', reason: 'MapFault' });
    t.like(event.involvedObject, { kind: 'ConfigMap', name: 'imageswap-maps', namespace: 'default' });

    await putMap('default::', 'quay.io::s.io', '# moved by a comment', 'nonsense', '[EXACT]a::');
    await rewrites('quay.io/a', 's.io/a');
    await eventually(async () => assert.equal((await said()).length, 2));
    await putMap('default::', 'quay.io::t.io');
    await rewrites('quay.io/a', 't.io/a');
    await putMap('default::', 'quay.io::u.io', 'nonsense');
    await rewrites('quay.io/a', 'u.io/a');
    await eventually(async () => assert.equal((await said()).length, 3, 'it came back'));
    await quiet();
    t.is((await said()).length, 3);
  },
);

test.serial('10,000 bad lines are 21 events, and good lines stay in force', async (t) => {
  const before = (await mapEvents()).length;
  const bad = Array.from({ length: 10_000 }, (_, index) => `nonsense-${index}`);
  await putMap('default::', ...bad, 'quay.io::v.io');
  await rewrites('quay.io/a', 'v.io/a');
  await eventually(async () => assert.equal((await mapEvents()).length - before, 21));
  await quiet();
  t.is((await mapEvents()).length - before, 21);
  await world.delete(configMapPath);
  await rewrites('quay.io/a', 'quay.io/a');
});

test.serial('The CRD goes with its maps, the original’s finalizer or not, and comes back', async (t) => {
  await namespace('back');
  await reconcilers.stop();
  await apply('back', 'boot', { nginx: 'r/1' }, { finalizers: [group] });
  await world.delete(crdPath);
  t.truthy(await world.find(crdPath), 'held by its map, which is held by the finalizer');
  reconcilers = await startRuleReconcilers(world.proxy.access);
  await eventually(async () => assert.equal(await world.find(crdPath), undefined));
  await eventually(() => assert.equal(reconcilers.result('nginx', 'back'), 'nginx'));
  await quiet();
  world.proxy.reset();
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  t.deepEqual(world.proxy.writes(), []);
  t.true(reconcilers.rules.synced);

  await world.plane.applyCrd(crdFile);
  await apply('back', 'again', { nginx: 'r/2' });
  await settled('back', 'again', 'True');
  t.is(reconcilers.result('nginx', 'back'), 'r/2');
});

/** Waits until nothing was written for a while; types that are missing are asked for all the time. */
async function quiet(): Promise<void> {
  await eventually(async () => {
    const before = world.proxy.writes().length;
    await new Promise((resolve) => setTimeout(resolve, 700));
    assert.equal(world.proxy.writes().length, before);
  });
}

async function namespace(name: string): Promise<void> {
  await world.plane.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
}

function pathOf(namespace: string, name: string): string {
  return `/apis/${group}/v1alpha1/namespaces/${namespace}/imagemaps/${name}`;
}

function apply(namespace: string, name: string, map: Record<string, string>, metadata = {}): Promise<Live> {
  return world.plane.apply({
    apiVersion: `${group}/v1alpha1`,
    kind: 'ImageMap',
    metadata: { name, namespace, ...metadata },
    spec: { map: Object.entries(map).map(([from, to]) => ({ from, to })) },
  });
}

function get(namespace: string, name: string): Promise<Live> {
  return world.get(pathOf(namespace, name));
}

function remove(namespace: string, name: string): Promise<Live> {
  return world.delete(pathOf(namespace, name));
}

/** Waits until the map's newest generation is Ready with this status; returns the map. */
function settled(namespace: string, name: string, status: 'True' | 'False'): Promise<Live> {
  return eventually(
    async () => {
      const map = await get(namespace, name);
      assert.equal(map.status?.observedGeneration, map.metadata.generation);
      assert.equal(map.status.conditions.find((one: Live) => one.type === 'Ready')?.status, status);
      return map;
    },
    { message: `ImageMap ${name} did not become Ready ${status}` },
  );
}

/** Objects are told apart by the second of their creation. */
async function nextSecond(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 1_100));
}

async function eventsOf(namespace: string, uid: string): Promise<Live[]> {
  const { items } = await world.get(`/api/v1/namespaces/${namespace}/events`);
  return items.filter(({ involvedObject }: Live) => involvedObject.uid === uid);
}

async function mapEvents(): Promise<Live[]> {
  const { items } = await world.get('/api/v1/namespaces/default/events');
  return items.filter(({ reason }: Live) => reason === 'MapFault');
}

async function putMap(...lines: string[]): Promise<void> {
  await world.plane.apply({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'imageswap-maps', namespace: 'default' },
    data: { maps: lines.join('\n') },
  });
}

async function rewrites(image: string, result: string): Promise<void> {
  await eventually(() => assert.equal(reconcilers.result(image, 'default'), result));
}
