import test from 'ava';
import type { RegistryMirror } from '../../../../src/api/registry-mirror.ts';
import { cacheMirrorOf } from '../../../../src/cache/cache-mirror.ts';
import { planClaims, sizeNote, withStorage } from '../../../../src/operator/registry-mirror/claims.ts';
import type { LiveClaim, LiveStatefulSet } from '../../../../src/operator/registry-mirror/live-objects.ts';
import { mirrorOf } from '../../resources/fixtures.ts';

const mirror = (storage: string, more: Record<string, unknown> = {}, replicas = 2) =>
  mirrorOf({
    upstreamUrl: 'gcr.io',
    replicas,
    volumeClaimTemplate: { spec: { ...more, resources: { requests: { storage } } } },
  });

function claim(storage: string, capacity?: string, ordinal = 0, day = 1): LiveClaim {
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: {
      name: `image-store-registry-mirror-hub-${ordinal}`,
      namespace: 'default',
      creationTimestamp: `2026-01-0${day}T00:00:00Z`,
    },
    spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage } } },
    ...(capacity && { status: { phase: 'Bound', capacity: { storage: capacity } } }),
  };
}

function set(storage: string, storageClassName?: string): LiveStatefulSet {
  const template = claim(storage);
  const spec = { ...template.spec, ...(storageClassName && { storageClassName }) };
  return {
    apiVersion: 'apps/v1',
    kind: 'StatefulSet',
    metadata: { name: 'registry-mirror-hub', namespace: 'default' },
    spec: { volumeClaimTemplates: [{ ...template, spec }] },
  };
}

function sizeOf(template: unknown): unknown {
  return (template as LiveClaim).spec?.resources?.requests?.storage;
}

test('A new mirror gets what it asks for', (t) => {
  const plan = planClaims(mirror('30Gi'), { claims: [] });
  t.like(plan, { storage: '30Gi', growths: [], obstacles: [] });
  t.is(sizeOf(plan.templates[0]), '30Gi');
});

test('A set that is made anew gets what is asked for, whatever claims an earlier one has left', (t) => {
  const claims = [claim('20Gi', '20Gi', 0), claim('20Gi', '20Gi', 1)];
  const plan = planClaims(mirror('100Gi'), { claims });
  t.is(sizeOf(plan.templates[0]), '100Gi', 'it could never change again');
  t.is(plan.storage, '20Gi');
  t.is(plan.growths.length, 2);
});

test('Claims that no replica has are no obstacle, and are left alone', (t) => {
  const claims = [claim('20Gi', '20Gi', 0), claim('20Gi', '20Gi', 1), claim('100Gi', '100Gi', 2)];
  t.deepEqual(planClaims(mirror('20Gi'), { statefulSet: set('20Gi'), claims }).obstacles, []);
  t.is(planClaims(mirror('20Gi', {}, 3), { statefulSet: set('20Gi'), claims }).obstacles.length, 1);
  const small = [claim('50Gi', '50Gi', 0), claim('50Gi', '50Gi', 1), claim('10Gi', '10Gi', 2)];
  t.deepEqual(planClaims(mirror('50Gi'), { statefulSet: set('10Gi'), claims: small }).growths, []);
  t.is(planClaims(mirror('50Gi', {}, 0), { statefulSet: set('10Gi'), claims: small }).growths.length, 1);
});

test('A replica that comes back to a claim of before takes nothing from the caches of the others', (t) => {
  const grown = [0, 1].map((ordinal) => claim('100Gi', '100Gi', ordinal));
  const kept = claim('100Gi', '20Gi', 2);
  const statefulSet = (replicas: number) => ({ ...set('20Gi'), status: { replicas } });
  const wanted = mirror('100Gi', {}, 3);
  const bound = (live: LiveStatefulSet, third: LiveClaim) =>
    planClaims(wanted, { statefulSet: live, claims: [...grown, third] }).storage;
  t.is(bound(statefulSet(2), kept), '100Gi', 'its pod is not there yet');
  const conditions = [{ type: 'FileSystemResizePending', status: 'True' }];
  const growing = { ...kept, status: { ...kept.status, conditions } };
  t.is(bound(statefulSet(3), growing), '100Gi', 'it grows as it is mounted');
  t.is(bound(statefulSet(3), kept), '20Gi');
});

test('The live templates are sent back whatever is asked for', (t) => {
  const statefulSet = set('20Gi');
  const plan = planClaims(mirror('30Gi'), { statefulSet, claims: [] });
  t.is(plan.templates, statefulSet.spec?.volumeClaimTemplates ?? []);
  t.is(plan.storage, '20Gi', 'the cache does not count on what is not there');
});

test('Claims that are smaller than asked for grow; the cache grows with the smallest volume', (t) => {
  const [small, growing] = [claim('20Gi', '20Gi'), claim('30Gi', '25Gi')];
  const plan = planClaims(mirror('30Gi'), { statefulSet: set('20Gi'), claims: [small, growing] });
  t.deepEqual(plan.growths, [{ claim: small, storage: '30Gi' }]);
  t.is(plan.storage, '20Gi');
  const grown = growing;
  const done = planClaims(mirror('30Gi'), { statefulSet: set('20Gi'), claims: [grown] });
  t.deepEqual([done.growths, done.obstacles, done.storage], [[], [], '25Gi']);
});

test('A replica that joins with the volume of an old template takes nothing from the caches of the others', (t) => {
  const grown = [0, 1].map((ordinal) => claim('100Gi', '100Gi', ordinal));
  const pending: LiveClaim = { ...claim('10Gi', undefined, 2, 2), status: { phase: 'Pending' } };
  const wanted = mirror('100Gi', {}, 3);
  for (const joining of [pending, claim('10Gi', '10Gi', 2, 2), claim('100Gi', '10Gi', 2, 2)]) {
    t.is(planClaims(wanted, { statefulSet: set('10Gi'), claims: [...grown, joining] }).storage, '100Gi');
  }
  const growing = claim('100Gi', '10Gi', 2);
  const plan = planClaims(wanted, { statefulSet: set('10Gi'), claims: [...grown, growing] });
  t.is(plan.storage, '10Gi', 'a replica that was there is waited for');
});

test('The claim of a replica that is no more holds nothing back', (t) => {
  const claims = [claim('100Gi', '50Gi', 0), claim('100Gi', '50Gi', 1), claim('100Gi', '10Gi', 2)];
  t.is(planClaims(mirror('100Gi', {}, 2), { statefulSet: set('10Gi'), claims }).storage, '50Gi');
  t.is(planClaims(mirror('100Gi', {}, 3), { statefulSet: set('10Gi'), claims }).storage, '10Gi');
  t.is(planClaims(mirror('100Gi', {}, 0), { statefulSet: set('10Gi'), claims }).storage, '10Gi');
});

test('A claim that is not bound is not asked to grow, and is no obstacle: the server refuses that', (t) => {
  const pending: LiveClaim = { ...claim('20Gi'), status: { phase: 'Pending' } };
  for (const one of [pending, claim('20Gi')]) {
    const plan = planClaims(mirror('30Gi'), { statefulSet: set('20Gi'), claims: [one] });
    t.deepEqual([plan.growths, plan.obstacles], [[], []]);
  }
});

test('The same size in another spelling is no change', (t) => {
  const plan = planClaims(mirror('20480Mi'), { statefulSet: set('20Gi'), claims: [claim('20Gi', '20Gi')] });
  t.deepEqual([plan.growths, plan.obstacles], [[], []]);
});

test('Shrinking is an obstacle, and the cache keeps to the smaller size', (t) => {
  const plan = planClaims(mirror('10Gi'), { statefulSet: set('20Gi'), claims: [claim('20Gi', '20Gi')] });
  t.is(plan.obstacles[0]?.reason, 'StorageCannotShrink');
  t.deepEqual(plan.growths, []);
  t.is(plan.storage, '10Gi');
});

test('Another class or access mode of a set that exists is an obstacle that names them', (t) => {
  const wanted = mirror('20Gi', { storageClassName: 'fast', accessModes: ['ReadWriteMany'] });
  const plan = planClaims(wanted, { statefulSet: set('20Gi'), claims: [] });
  t.is(plan.obstacles[0]?.reason, 'ClaimTemplateImmutable');
  t.regex(plan.obstacles[0]?.message ?? '', /storageClassName and accessModes/);
});

test('The cache’s size is computed from the storage that is there', (t) => {
  const size = (asked: RegistryMirror) =>
    cacheMirrorOf(withStorage(asked, '10Gi'), {
      cacheDir: '/c',
      extraNames: [],
      credentials: [],
      caFiles: [],
    }).maxSizeMiB;
  t.is(size(mirror('30Gi')), 8192);
  t.is(size(mirrorOf({ upstreamUrl: 'gcr.io' })), 8192);
});

test('A cache without claims asks for none, whatever claims an earlier set has left', (t) => {
  const brief = mirror('10Gi');
  const ephemeral = { ...brief, spec: { ...brief.spec, storage: 'ephemeral' as const } };
  t.deepEqual(planClaims(ephemeral, { claims: [claim('20Gi', '20Gi')] }), {
    templates: [],
    storage: '10Gi',
    growths: [],
    obstacles: [],
  });
  const { volumeClaimTemplates: _none, ...spec } = set('20Gi').spec ?? {};
  const plan = planClaims(ephemeral, {
    statefulSet: { ...set('20Gi'), spec },
    claims: [claim('5Gi', '5Gi')],
  });
  t.deepEqual(plan, { templates: [], storage: '10Gi', growths: [], obstacles: [] });
});

test('A set stays what it was made as, and it is said how to make it anew', (t) => {
  const brief = mirror('20Gi');
  const ephemeral = { ...brief, spec: { ...brief.spec, storage: 'ephemeral' as const } };
  const kept = planClaims(ephemeral, { statefulSet: set('20Gi'), claims: [] });
  t.is(kept.templates?.length, 1);
  t.like(kept.obstacles[0], { reason: 'ClaimTemplateImmutable' });
  t.regex(
    kept.obstacles[0]?.message ?? '',
    /made persistent.*delete the StatefulSet.*claims are left to you/,
  );
  const { volumeClaimTemplates: _none, ...spec } = set('20Gi').spec ?? {};
  const still = planClaims(brief, { statefulSet: { ...set('20Gi'), spec }, claims: [] });
  t.deepEqual(still.templates, []);
  t.regex(still.obstacles[0]?.message ?? '', /made ephemeral/);
});

test('A bound above four fifths of the volume is told with what it comes to', (t) => {
  const bounded = (maxSize: string) => mirrorOf({ upstreamUrl: 'gcr.io', cache: { maxSize } });
  t.is(sizeNote(bounded('16Gi')), undefined);
  t.regex(sizeNote(bounded('17Gi')) ?? '', /17Gi is more than 80 % .* keeps to 16384Mi/);
  t.is(sizeNote(mirrorOf({ upstreamUrl: 'gcr.io' })), undefined);
});

test('A claim template in the spelling of Python is the same as what was made of it', (t) => {
  const spelled = mirror('20Gi', { access_modes: ['ReadWriteOnce'], storage_class_name: 'fast' });
  t.deepEqual(
    planClaims(spelled, { claims: [claim('20Gi')], statefulSet: set('20Gi', 'fast') }).obstacles,
    [],
  );
  const [changed] = planClaims(spelled, {
    claims: [claim('20Gi')],
    statefulSet: set('20Gi', 'slow'),
  }).obstacles;
  t.regex(changed?.message ?? '', /changes storageClassName,/);
});
