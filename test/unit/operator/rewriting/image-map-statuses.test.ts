import test from 'ava';
import { compileRules, type RuleTable } from '../../../../src/image/rules/table.ts';
import type { KubeClient, PatchOptions } from '../../../../src/kube/client.ts';
import { ApiError } from '../../../../src/kube/errors.ts';
import { type KubeObject, keyOf, type ObjectKey } from '../../../../src/kube/object.ts';
import { Store } from '../../../../src/kube/store.ts';
import { createLogger } from '../../../../src/observe/log.ts';
import { LiveView } from '../../../../src/operator/live-view.ts';
import type { StoredImageMap } from '../../../../src/operator/rewriting/image-map-status.ts';
import { ImageMapStatuses } from '../../../../src/operator/rewriting/image-map-statuses.ts';
import { imageMapsOf } from '../../../../src/rewriting/sources.ts';

const finalizer = 'mapper.imagerelocation.pivotal.io';
const { signal } = new AbortController();

test('each map tells what became of it, and nothing is written twice', async (t) => {
  const scene = setUp();
  scene.create('older', { nginx: 'r.io/one' });
  scene.create('newer', { nginx: 'r.io/two' }, { creationTimestamp: '2026-02-01T00:00:00Z' });
  t.is(await scene.reconcile(), undefined);
  t.deepEqual(scene.ready('older'), { type: 'Ready', status: 'True', observationTime: scene.time() });
  t.deepEqual(scene.ready('newer'), {
    type: 'Ready',
    status: 'False',
    observationTime: scene.time(),
    message:
      'imagemap "newer" in namespace "team" was rejected: it maps "nginx" to "r.io/two" but older maps "nginx" to "r.io/one"',
  });
  t.is(scene.patches.length, 2);
  await scene.reconcile();
  t.is(scene.patches.length, 2, 'the watch has not shown our writes yet');
  scene.watch();
  await scene.reconcile();
  t.is(scene.patches.length, 2);
  t.deepEqual(scene.events, [`newer Rejected ${scene.ready('newer')?.message}`]);
});

test('a map is told again when its verdict changes, and a rejection in an event each time', async (t) => {
  const scene = setUp();
  scene.create('older', { nginx: 'r.io/one' });
  scene.create('newer', { nginx: 'r.io/two' }, { creationTimestamp: '2026-02-01T00:00:00Z' });
  await scene.reconcile();
  scene.watch();
  scene.change('older', { redis: 'r.io/one' });
  scene.tick();
  await scene.reconcile();
  t.is(scene.ready('newer')?.status, 'True');
  t.is(scene.ready('newer')?.message, undefined);
  t.is(scene.ready('newer')?.observationTime, scene.time());
  t.is(scene.status('older')?.observedGeneration, 2);
  scene.watch();
  scene.change('older', { nginx: 'r.io/one' });
  await scene.reconcile();
  t.is(scene.ready('newer')?.status, 'False');
  t.is(scene.events.length, 2);
  t.not(scene.occurrences[0], scene.occurrences[1]);
});

test('what is odd and harmless is told once, and Ready says nothing of it', async (t) => {
  const scene = setUp();
  scene.create('odd', { nginx: 'NO REFERENCE', redis: 'redis' });
  await scene.reconcile();
  scene.watch();
  await scene.reconcile();
  t.deepEqual(scene.events, [
    'odd LineWithoutEffect "nginx" stays: "NO REFERENCE" is no image reference; "redis" is mapped to itself, and stays',
  ]);
  t.is(scene.ready('odd')?.message, undefined);
  scene.change('odd', { redis: 'redis', a: 'a' });
  await scene.reconcile();
  scene.change('odd', { nginx: 'NO REFERENCE' });
  await scene.reconcile();
  t.deepEqual(scene.events.slice(1), [
    'odd LineWithoutEffect "a" is mapped to itself, and stays',
    'odd LineWithoutEffect "nginx" stays: "NO REFERENCE" is no image reference',
  ]);
});

test('of very many odd lines the first are told, and how many more there are', async (t) => {
  const scene = setUp();
  scene.create(
    'odd',
    Object.fromEntries(Array.from({ length: 1_000 }, (_, index) => [`a${index}`, `a${index}`])),
  );
  await scene.reconcile();
  t.is(scene.events.length, 1);
  t.regex(scene.events[0] ?? '', /"a4" is mapped to itself, and stays; and 995 more$/);
});

test('the original’s finalizer goes, from maps that stay and from maps that go, and no other one', async (t) => {
  const scene = setUp();
  scene.create('stays', { nginx: 'r.io/one' }, { finalizers: ['other/one', finalizer] });
  scene.create('goes', { nginx: 'r.io/two' }, { finalizers: [finalizer], deletionTimestamp: 'now' });
  await scene.reconcile();
  t.deepEqual(scene.stored('stays')?.metadata.finalizers, ['other/one']);
  t.is(scene.stored('goes'), undefined);
  t.is(scene.ready('stays')?.status, 'True', 'a map that goes is in nobody’s way');
  const { length } = scene.patches;
  await scene.reconcile();
  scene.watch();
  await scene.reconcile();
  t.is(scene.patches.length, length);
});

test('what another controller puts back is changed once a minute', async (t) => {
  const scene = setUp();
  scene.create('a', { nginx: 'r.io/one' }, { finalizers: [finalizer] });
  await scene.reconcile();
  const { length } = scene.patches;
  scene.overwrite('a', { finalizers: [finalizer] }, { conditions: [] });
  scene.watch();
  t.is(await scene.reconcile(), 60_000);
  t.is(await scene.reconcile(), 60_000);
  t.is(scene.patches.length, length);
  t.is(scene.log.filter((line) => line.includes('Another controller')).length, 1);
  scene.tick(59_000);
  t.is(await scene.reconcile(), 1_000);
  scene.tick(1_000);
  t.is(await scene.reconcile(), undefined);
  t.is(scene.ready('a')?.status, 'True');
  t.deepEqual(scene.stored('a')?.metadata.finalizers, []);
});

test('a map that is deleted is let go at once, whoever set its finalizer again', async (t) => {
  const scene = setUp();
  scene.create('a', { nginx: 'r.io/one' }, { finalizers: [finalizer] });
  await scene.reconcile();
  scene.overwrite('a', { finalizers: [finalizer], deletionTimestamp: 'now' });
  scene.watch();
  t.is(await scene.reconcile(), undefined);
  t.is(scene.stored('a'), undefined);
});

test('one that is gone is no failure, and one that fails keeps no other one waiting', async (t) => {
  const scene = setUp();
  for (const name of ['a', 'b', 'c', 'd']) scene.create(name, { [name]: 'r.io/one' });
  scene.fail.set('a', new ApiError('PATCH', 404, { reason: 'NotFound' }));
  scene.fail.set('b', new ApiError('PATCH', 409, { reason: 'Conflict' }));
  scene.fail.set('c', new ApiError('PATCH', 500));
  const error = await t.throwsAsync(scene.reconcile());
  t.true(error instanceof ApiError && error.conflict);
  t.is(scene.ready('d')?.status, 'True');
  scene.fail.clear();
  await scene.reconcile();
  for (const name of ['b', 'c']) t.is(scene.ready(name)?.status, 'True');
});

test('an object made anew under the same name waits for its own verdict', async (t) => {
  const scene = setUp();
  scene.create('a', { nginx: 'r.io/one' });
  scene.recreateUnseen('a');
  await t.throwsAsync(scene.reconcile(), { instanceOf: ApiError });
  t.is(scene.ready('a'), undefined);
  scene.watch();
  await scene.reconcile();
  t.is(scene.ready('a')?.status, 'True');
});

test('nothing is begun after the end', async (t) => {
  const scene = setUp();
  scene.create('a', { nginx: 'r.io/one' });
  await scene.reconcile(AbortSignal.abort());
  t.is(scene.patches.length, 0);
});

/** A server that has objects, and a store that has them once `watch` is called. */
function setUp() {
  const server = new Map<string, StoredImageMap>();
  const store = new Store();
  const clock = { ms: Date.parse('2026-03-01T00:00:00Z') };
  const patches: string[] = [];
  const events: string[] = [];
  const occurrences: string[] = [];
  const log: string[] = [];
  const fail = new Map<string, ApiError>();
  let version = 0;

  const put = (object: StoredImageMap) => {
    version += 1;
    const metadata = { ...object.metadata, resourceVersion: `${version}` };
    const isGone = metadata.deletionTimestamp !== undefined && metadata.finalizers?.length === 0;
    const stored = { ...object, metadata };
    if (isGone) server.delete(keyOf(object));
    else server.set(keyOf(object), stored);
    return stored;
  };
  const watch = () => store.replace(structuredClone([...server.values()]));
  const stored = (name: string) => server.get(`team/${name}`);
  const found = (name: string) => {
    const object = stored(name);
    if (object === undefined) throw new ApiError(`PATCH ${name}`, 404, { reason: 'NotFound' });
    return object;
  };

  async function patch(_: unknown, { name }: ObjectKey, body: unknown, options: PatchOptions) {
    patches.push(`${name} ${JSON.stringify(body)}`);
    const failure = fail.get(name);
    if (failure !== undefined) throw failure;
    const object = found(name);
    if (options.contentType === 'json') return put(patched(object, body as JsonPatch));
    const { metadata, status } = body as { metadata: KubeObject['metadata']; status: never };
    if (metadata.resourceVersion !== object.metadata.resourceVersion)
      throw new ApiError(`PATCH ${name}`, 409, { reason: 'Conflict' });
    return put({ ...object, status });
  }

  const statuses = new ImageMapStatuses({
    client: { patch } as unknown as KubeClient,
    rules: {
      imageMaps: store,
      get table(): RuleTable {
        return compileRules({ imageMaps: imageMapsOf(store.list()) });
      },
    },
    view: new LiveView(store, { theirSpec: true, now: () => clock.ms }),
    events: {
      async warning({ metadata }, reason, message, details) {
        events.push(`${metadata.name} ${reason} ${message}`);
        occurrences.push(details?.occurrence ?? '');
      },
    },
    logger: createLogger({ destination: { write: (line: string) => void log.push(line) } }),
    now: () => new Date(clock.ms),
  });

  return {
    ...{ patches, events, occurrences, log, fail, stored, watch },
    create(name: string, map: Record<string, string>, metadata: Partial<KubeObject['metadata']> = {}) {
      put({
        ...imageMap(map),
        metadata: {
          ...{ name, namespace: 'team', uid: `uid-${name}`, generation: 1 },
          creationTimestamp: '2026-01-01T00:00:00Z',
          ...metadata,
        },
      });
      watch();
    },
    change(name: string, map: Record<string, string>) {
      const object = found(name);
      const { generation = 0 } = object.metadata;
      put({ ...object, ...imageMap(map), metadata: { ...object.metadata, generation: generation + 1 } });
      watch();
    },
    overwrite(name: string, metadata: Partial<KubeObject['metadata']>, status?: { conditions: never[] }) {
      const object = found(name);
      put({ ...object, ...(status && { status }), metadata: { ...object.metadata, ...metadata } });
    },
    recreateUnseen(name: string) {
      const { status: _, ...object } = found(name);
      put({ ...object, metadata: { ...object.metadata, uid: 'another' } } as StoredImageMap);
    },
    tick(ms = 1_000) {
      clock.ms += ms;
    },
    time: () => new Date(clock.ms).toISOString().replace('.000Z', 'Z'),
    status: (name: string) => stored(name)?.status,
    ready: (name: string) => stored(name)?.status?.conditions?.find(({ type }) => type === 'Ready'),
    reconcile: (end = signal) => statuses.reconcile(end),
  };
}

type JsonPatch = readonly { readonly op: string; readonly path: string; readonly value?: unknown }[];

/** Only what is sent: a test of the uid, and one finalizer. */
function patched(object: StoredImageMap, [uid, is, remove]: JsonPatch): StoredImageMap {
  const { finalizers = [] } = object.metadata;
  const at = Number(remove?.path.split('/').at(-1));
  if (uid?.value !== object.metadata.uid || finalizers[at] !== is?.value)
    throw new ApiError('PATCH', 422, { reason: 'Invalid' });
  return { ...object, metadata: { ...object.metadata, finalizers: finalizers.toSpliced(at, 1) } };
}

function imageMap(map: Record<string, string>): KubeObject {
  return {
    apiVersion: 'mapper.imagerelocation.pivotal.io/v1alpha1',
    kind: 'ImageMap',
    metadata: { name: '' },
    spec: { map: Object.entries(map).map(([from, to]) => ({ from, to })) },
  };
}
