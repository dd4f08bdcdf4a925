import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { RewriteSettings } from '../../../src/api/rewrite-settings.ts';
import { type RuleTable, rewriteImage } from '../../../src/image/rules/table.ts';
import { createClient } from '../../../src/kube/client.ts';
import type { KubeObject } from '../../../src/kube/object.ts';
import { createLogger } from '../../../src/observe/log.ts';
import { configMaps, imageMaps, namespaces, registryMirrors } from '../../../src/rewriting/resource-types.ts';
import { RuleWatch } from '../../../src/rewriting/rule-watch.ts';
import { eventually } from '../../support/eventually.ts';
import { startFakeApiServer } from '../../support/fake-api-server.ts';

const base: RewriteSettings = {
  engine: 'webhook',
  namespace: 'default',
  mirrors: false,
  disableLabel: 'k8s.twr.io/imageswap',
  namespaces: 'all',
  skipOwners: [],
  annotate: true,
};
const withConfigMap = { ...base, imageswap: { configMapNamespace: 'default' } };

test('all sources are read before it is synced, and their rules are in force', async (t) => {
  const { fake, start } = await setUp(t);
  fake.state.create(imageMaps, imageMap('one', { nginx: 'r.io/nginx' }));
  fake.state.create(configMaps, configMap('default::\n[EXACT]quay.io/a::r.io/a\nbad line\n'));
  const { rules, result, inSync } = start({
    ...withConfigMap,
    gilly: { registry: 'g.io', exclude: [], keepSource: false },
  });
  t.false(rules.synced);
  t.is(result('quay.io/b'), 'g.io/b', 'what the environment says is a rule from the start');
  await inSync();
  t.is(result('nginx'), 'r.io/nginx');
  t.is(result('quay.io/a'), 'r.io/a');
  t.is(rules.table.mapFaults.length, 1);
  t.is(rules.imageswapMap?.metadata.name, 'imageswap-maps');
  t.is(rules.imageMaps.size, 1);
});

test('who asks has the rules of what was heard, and listeners hear of them soon', async (t) => {
  const { fake, start } = await setUp(t);
  const { rules, result, tables, inSync } = start(withConfigMap);
  await inSync();
  fake.state.create(imageMaps, imageMap('one', { nginx: 'r.io/nginx' }));
  await eventually(() => assert.equal(rules.imageMaps.size, 1), { interval: 1 });
  t.is(result('nginx'), 'r.io/nginx');
  t.is(tables.at(-1), rules.table);
  fake.state.create(configMaps, configMap('default::\nquay.io::r.io\n'));
  await eventually(() => assert.equal(apply(tables.at(-1), 'quay.io/a'), 'r.io/a'));
  t.is(apply(tables.at(-1), 'nginx'), 'r.io/nginx');
});

test('rules change with their objects, without a restart', async (t) => {
  const { fake, start } = await setUp(t);
  const { rules, result, inSync } = start(withConfigMap);
  await inSync();
  const map = fake.state.create(configMaps, configMap('default::\nquay.io::one.io\n'));
  await eventually(() => assert.equal(result('quay.io/a'), 'one.io/a'));
  fake.state.update(configMaps, { ...map, data: { maps: 'default::\nquay.io::two.io\n' } });
  await eventually(() => assert.equal(result('quay.io/a'), 'two.io/a'));
  fake.state.delete(configMaps, 'default/imageswap-maps');
  await eventually(() => assert.equal(result('quay.io/a'), 'quay.io/a'));
  t.is(rules.imageswapMap, undefined);
});

test('what changes no rule compiles none', async (t) => {
  const { fake, start } = await setUp(t);
  const map = fake.state.create(imageMaps, imageMap('one', { nginx: 'r.io/nginx' }));
  const text = fake.state.create(configMaps, configMap('default::\n'));
  const hub = fake.state.create(registryMirrors, mirror('hub', '10.0.0.1'));
  const { rules, result, tables, inSync } = start({ ...withConfigMap, mirrors: true });
  await inSync();
  const { table } = rules;
  const known = tables.length;

  fake.state.update(imageMaps, { ...map, status: { observedGeneration: 1, conditions: [] } });
  fake.state.update(imageMaps, { ...map, metadata: renewed(map, { labels: { a: 'b' }, finalizers: ['x'] }) });
  fake.state.update(configMaps, { ...text, metadata: renewed(text, { labels: { a: 'b' } }) });
  fake.state.update(registryMirrors, { ...mirror('hub', '10.0.0.1'), spec: hub['spec'], extra: 1 });
  await eventually(() => assert.deepEqual(rules.imageMaps.list()[0]?.metadata.finalizers, ['x']));
  await eventually(() => assert.deepEqual(rules.imageswapMap?.metadata.labels, { a: 'b' }));
  await new Promise((resolve) => setTimeout(resolve, 250));
  t.is(rules.table, table);
  t.is(tables.length, known);

  fake.state.update(imageMaps, {
    ...imageMap('one', { nginx: 'r.io/other' }),
    metadata: renewed(map, { generation: 2 }),
  });
  await eventually(() => assert.equal(result('nginx'), 'r.io/other'));
  fake.state.update(registryMirrors, mirror('hub', '10.0.0.2'));
  await eventually(() => assert.equal(result('quay.io/a'), '10.0.0.2/quay.io/a'));
  const leaving = { generation: 2, deletionTimestamp: '2026-01-01T00:00:00Z' };
  fake.state.update(imageMaps, { ...map, metadata: renewed(map, leaving) });
  await eventually(() => assert.equal(result('nginx'), 'nginx'));
});

test('rules outlive an API server that is away', async (t) => {
  const { fake, start } = await setUp(t);
  fake.state.create(imageMaps, imageMap('one', { nginx: 'r.io/nginx' }));
  fake.state.create(configMaps, configMap('default::\nquay.io::r.io\n'));
  const { rules, result, inSync } = start(withConfigMap);
  await inSync();
  await fake.stop();
  await new Promise((resolve) => setTimeout(resolve, 300));
  t.is(result('nginx'), 'r.io/nginx');
  t.is(result('quay.io/a'), 'r.io/a');
  t.true(rules.synced);
  await fake.listen();
  fake.state.delete(imageMaps, 'team/one');
  await eventually(() => assert.equal(result('nginx'), 'nginx'));
});

test('a kind that the API server does not know has no rules, and rules once it is there', async (t) => {
  const { fake, start } = await setUp(t);
  fake.removeType(imageMaps);
  fake.state.create(configMaps, configMap('default::\nquay.io::r.io\n'));
  const { result, inSync } = start(withConfigMap);
  await inSync();
  t.is(result('quay.io/a'), 'r.io/a');
  fake.addType(imageMaps);
  fake.state.create(imageMaps, imageMap('one', { nginx: 'r.io/nginx' }));
  await eventually(() => assert.equal(result('nginx'), 'r.io/nginx'));
  fake.removeType(imageMaps);
  await eventually(() => assert.equal(result('nginx'), 'nginx'));
  t.is(result('quay.io/a'), 'r.io/a');
});

test('it is not synced while one source cannot be read', async (t) => {
  const { fake, start } = await setUp(t);
  fake.script = ({ path }) => (path.includes('/configmaps') ? { status: 500 } : undefined);
  const { rules, inSync } = start(withConfigMap);
  await eventually(() =>
    assert.ok(fake.requests.filter(({ path }) => path.includes('/configmaps')).length > 2),
  );
  t.false(rules.synced);
  fake.script = () => undefined;
  await inSync();
  t.true(rules.synced);
});

test('a map that our operator wrote in scheme services is no rule in another, until somebody makes it his', async (t) => {
  const { fake, start } = await setUp(t);
  const ours = configMap('default:\ndocker.io:10.96.1.2/docker.io\n');
  const fields = { fieldsType: 'FieldsV1', fieldsV1: { 'f:data': { 'f:maps': {} } } };
  const managedFields = [
    { manager: 'registry-mirror-operator', operation: 'Apply', apiVersion: 'v1', ...fields } as const,
  ];
  fake.state.create(configMaps, { ...ours, metadata: { ...ours.metadata, managedFields } });
  const { result, inSync } = start(withConfigMap);
  await inSync();
  t.is(result('nginx'), 'nginx');
  fake.state.delete(configMaps, 'default/imageswap-maps');
  fake.state.create(configMaps, configMap('default:\ndocker.io:r.io/hub\n'));
  await eventually(() => assert.equal(result('nginx'), 'r.io/hub/nginx'));
});

test('a map in a file is followed, and waited for', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'rule-watch-'));
  t.teardown(() => rm(folder, { recursive: true }));
  const file = join(folder, 'maps.conf');
  await writeFile(file, 'default::\nquay.io::r.io\n');
  const { start } = await setUp(t);
  const { rules, result, inSync } = start({ ...base, imageswap: { file } });
  await inSync();
  t.is(result('quay.io/a'), 'r.io/a');
  t.is(rules.imageswapMap, undefined);
});

test('mode LEGACY is a rule without any object', async (t) => {
  const { fake, start } = await setUp(t);
  const { result, inSync } = start({ ...base, imageswap: { legacyPrefix: 'r.io/p' } });
  await inSync();
  t.is(result('quay.io/org/a:1'), 'r.io/p/a:1');
  t.false(fake.requests.some(({ path }) => path.includes('configmaps') || path.includes('registrymirrors')));
});

test('a listener that fails keeps no other one from hearing, until each ends it', async (t) => {
  const { fake, start } = await setUp(t);
  const { rules, tables, inSync } = start(withConfigMap);
  await inSync();
  const end = rules.subscribe(() => assert.fail('a listener'));
  const after: RuleTable[] = [];
  rules.subscribe((table) => after.push(table));
  fake.state.create(imageMaps, imageMap('one', { nginx: 'r.io/nginx' }));
  await eventually(() => assert.equal(apply(after.at(-1), 'nginx'), 'r.io/nginx'));
  t.is(tables.at(-1), after.at(-1));
  end();
  fake.state.delete(imageMaps, 'team/one');
  await eventually(() => assert.equal(apply(after.at(-1), 'nginx'), 'nginx'));
});

function imageMap(name: string, map: Record<string, string>): KubeObject {
  return {
    apiVersion: 'mapper.imagerelocation.pivotal.io/v1alpha1',
    kind: 'ImageMap',
    metadata: { name, namespace: 'team' },
    spec: { map: Object.entries(map).map(([from, to]) => ({ from, to })) },
  };
}

function configMap(maps: string): KubeObject {
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'imageswap-maps', namespace: 'default' },
    data: { maps },
  };
}

function mirror(name: string, address: string): KubeObject {
  return {
    apiVersion: 'k8s.osp.tech/v1',
    kind: 'RegistryMirror',
    metadata: { name },
    spec: { upstreamUrl: 'quay.io', masqueradeUrl: 'quay.io' },
    status: { clusterIPs: [address], conditions: [{ type: 'CacheAvailable', status: 'True' }] },
  };
}

/** The object's metadata with a change, as an update without a condition. */
function renewed({ metadata }: KubeObject, change: Partial<KubeObject['metadata']>): KubeObject['metadata'] {
  const { resourceVersion: _, ...rest } = metadata;
  return { ...rest, ...change };
}

function apply(table: RuleTable | undefined, image: string): string | undefined {
  return table && rewriteImage(table, image, { namespace: 'team' }).result;
}

async function setUp(t: ExecutionContext) {
  const fake = await startFakeApiServer([imageMaps, configMaps, namespaces, registryMirrors]);
  const client = createClient(fake.connection(), { userAgent: 'test' });
  const stopping = new AbortController();
  const running: Promise<void>[] = [];
  t.teardown(async () => {
    stopping.abort();
    await Promise.all(running);
    await client.close();
    await fake.stop();
  });

  function start(settings: RewriteSettings) {
    const logger = createLogger({ level: 'silent' });
    const rules = new RuleWatch({ client, settings, maxPauseMs: 50, logger });
    const tables: RuleTable[] = [];
    rules.subscribe((table) => tables.push(table));
    running.push(rules.run(stopping.signal));
    return {
      rules,
      tables,
      result: (image: string) => apply(rules.table, image),
      inSync: () => eventually(() => assert.equal(rules.synced, true), { interval: 5 }),
    };
  }

  return { fake, start };
}
