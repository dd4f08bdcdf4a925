import test from 'ava';
import fc from 'fast-check';
import { compileRules } from '../../../src/image/rules/table.ts';
import type { KubeObject } from '../../../src/kube/object.ts';
import { imageMapsOf, imageswapMapOf, ruleMirrorsOf } from '../../../src/rewriting/sources.ts';

const at = '2026-01-01T00:00:00Z';

function stored(spec: unknown, metadata: Partial<KubeObject['metadata']> = {}): KubeObject {
  return {
    apiVersion: 'mapper.imagerelocation.pivotal.io/v1alpha1',
    kind: 'ImageMap',
    metadata: { name: 'a', namespace: 'team', creationTimestamp: at, ...metadata },
    spec,
  };
}

function mirror(name: string, spec: unknown, status?: unknown, metadata = {}): KubeObject {
  return {
    apiVersion: 'k8s.osp.tech/v1',
    kind: 'RegistryMirror',
    metadata: { name, ...metadata },
    spec,
    status,
  };
}

test('an ImageMap is its namespace, name, age and lines', (t) => {
  t.deepEqual(imageMapsOf([stored({ map: [{ from: 'nginx', to: '', note: 'dropped' }] })]), [
    { namespace: 'team', name: 'a', creationTimestamp: at, map: [{ from: 'nginx', to: '' }] },
  ]);
});

test('a map that is being deleted is gone', (t) => {
  t.deepEqual(imageMapsOf([stored({ map: [] }, { deletionTimestamp: at })]), []);
});

test('of a map without a schema what has no form counts as nothing', (t) => {
  for (const spec of [undefined, null, 'text', {}, { map: null }, { map: 'x' }, { map: { from: 'a' } }])
    t.deepEqual(imageMapsOf([stored(spec)])[0]?.map, []);
  const lines = [null, 'text', 7, [], {}, { from: 'a' }, { from: 'a', to: 1 }, { from: 'b', to: 'c' }];
  t.deepEqual(imageMapsOf([stored({ map: lines })])[0]?.map, [{ from: 'b', to: 'c' }]);
});

test('whatever is stored, rules can be made of it', (t) => {
  const line = fc.oneof(fc.anything(), fc.record({ from: fc.anything(), to: fc.anything() }));
  fc.assert(
    fc.property(fc.oneof(fc.anything(), fc.record({ map: fc.array(line) })), (spec) => {
      t.notThrows(() => compileRules({ imageMaps: imageMapsOf([stored(spec)]) }));
    }),
  );
});

test('a mirror is a rule to the address in its status, while its cache is available', (t) => {
  const available = { clusterIPs: ['10.0.0.1'], conditions: [{ type: 'CacheAvailable', status: 'True' }] };
  const away = { clusterIPs: ['fd00::1'], conditions: [{ type: 'CacheAvailable', status: 'False' }] };
  t.deepEqual(
    ruleMirrorsOf([
      mirror('b', { upstreamUrl: 'quay.io', masqueradeUrl: 'quay.io' }, away),
      mirror('a', { upstreamUrl: 'hub.docker.io', masqueradeUrl: 'docker.io' }, available),
      mirror('c', { upstreamUrl: 'ghcr.io' }),
    ]),
    [
      { name: 'a', masquerade: 'docker.io', address: '10.0.0.1', available: true },
      { name: 'b', masquerade: 'quay.io', address: '[fd00:0:0:0:0:0:0:1]', available: false },
      { name: 'c', masquerade: 'mirror-ghcr.io', address: undefined, available: false },
    ],
  );
});

for (const [nodes, condition, available] of [
  [undefined, undefined, true],
  ['3/3', { status: 'True', reason: 'Wired' }, true],
  ['1/3', { status: 'False', reason: 'NodesNotWired' }, true],
  ['0/3', { status: 'False', reason: 'NodesNotWired' }, false],
  ['0/3', { status: 'False', reason: 'RollingOut' }, true],
  ['0/1', { status: 'False', reason: 'NodesNotReady' }, true],
  ['0/3', { status: 'False', reason: 'Unreachable' }, true],
  ['0/0', { status: 'True', reason: 'NoNodeSelected' }, true],
] as const) {
  test(`with ${nodes} nodes wired, ${condition?.reason ?? 'nothing known'}, a mirror ${available ? 'has' : 'has no'} rule`, (t) => {
    const conditions = [
      { type: 'CacheAvailable', status: 'True' },
      ...(condition === undefined ? [] : [{ type: 'NodesWired', ...condition }]),
    ];
    const spec = { upstreamUrl: 'quay.io', masqueradeUrl: 'quay.io' };
    const [rule] = ruleMirrorsOf([mirror('a', spec, { clusterIPs: ['10.0.0.1'], nodes, conditions })]);
    t.is(rule?.available, available);
  });
}

test('a mirror that asks its clients for certificates can have no rule', (t) => {
  const spec = { upstreamUrl: 'quay.io', nodes: { clientCertificate: true } };
  const mirrors = ruleMirrorsOf([mirror('a', spec, { clusterIPs: ['10.0.0.1'] })]);
  t.regex(compileRules({ mirrors }).mirrorsLeftOut.get('a') ?? '', /^spec.nodes.clientCertificate: /);
});

test('of two mirrors with one masqueradeUrl the older one is the rule, and one that is being deleted is none', (t) => {
  const spec = { upstreamUrl: 'quay.io', masqueradeUrl: 'quay.io' };
  const older = mirror('z', spec, undefined, { creationTimestamp: '2025-01-01T00:00:00Z' });
  const newer = mirror('a', spec, undefined, { creationTimestamp: at });
  t.deepEqual(
    ruleMirrorsOf([newer, older]).map(({ name }) => name),
    ['z'],
  );
  const leaving = { ...older, metadata: { ...older.metadata, deletionTimestamp: at } };
  t.deepEqual(
    ruleMirrorsOf([newer, leaving]).map(({ name }) => name),
    ['a'],
  );
});

test('imageswap’s map is one key of its ConfigMap', (t) => {
  const configMap = (data?: Record<string, string>): KubeObject => ({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'imageswap-maps' },
    ...(data && { data }),
  });
  t.is(imageswapMapOf(undefined), undefined);
  t.is(imageswapMapOf(configMap()), undefined);
  t.is(imageswapMapOf(configMap({ other: 'x' })), undefined);
  t.is(imageswapMapOf(configMap({ maps: '' })), '');
  t.is(imageswapMapOf(configMap({ maps: 'default::\n' })), 'default::\n');
});
