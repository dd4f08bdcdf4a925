import test from 'ava';
import {
  cacheAvailable,
  certificateValid,
  ready,
  stalled,
} from '../../../../src/operator/registry-mirror/conditions.ts';
import type { LiveClaim, LiveObjects } from '../../../../src/operator/registry-mirror/live-objects.ts';

const metadata = { name: 'registry-mirror-hub', namespace: 'default', generation: 2 };

function cache(replicas: number, readyReplicas: number, claims: LiveClaim[] = []): LiveObjects {
  const set = { apiVersion: 'apps/v1', kind: 'StatefulSet', metadata };
  const spec = { replicas, volumeClaimTemplates: [pending()] };
  return { statefulSet: { ...set, spec, status: { readyReplicas } }, claims };
}

function pending(storageClassName?: string, name = 'image-store-registry-mirror-hub-0'): LiveClaim {
  const spec = storageClassName === undefined ? {} : { storageClassName };
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: { ...metadata, name },
    spec,
    status: { phase: 'Pending' },
  };
}

test('The cache is available with one ready replica, whole with all', (t) => {
  t.like(cacheAvailable({ claims: [] }), { status: 'Unknown', reason: 'NotCreated' });
  t.like(cacheAvailable(cache(2, 0)), { status: 'False', reason: 'NoReplicaReady' });
  t.like(cacheAvailable(cache(2, 1)), { status: 'True', reason: 'Degraded' });
  t.like(cacheAvailable(cache(2, 2)), { status: 'True', reason: 'Available' });
  t.like(cacheAvailable(cache(0, 0)), { status: 'False', reason: 'ScaledToZero' });
});

test('Only a claim without a class is a fault; another one waits for its provisioner', (t) => {
  const classless = cacheAvailable(cache(2, 0, [pending()]));
  t.like(classless, { status: 'False', reason: 'NoDefaultStorageClass', warn: true });
  t.like(cacheAvailable(cache(2, 0, [pending('slow')])), { status: 'False', reason: 'ClaimPending' });
  t.like(cacheAvailable(cache(2, 1, [pending()])), { status: 'True', reason: 'NoDefaultStorageClass' });
  t.like(cacheAvailable(cache(2, 2, [pending()])), { reason: 'Available' });
});

test('A claim of no class waits for a volume of none, and claims that no replica has are no reason', (t) => {
  const none = cacheAvailable(cache(2, 0, [pending('')]));
  t.like(none, { status: 'False', reason: 'ClaimPending' });
  t.regex(none.message, /a volume without a class, and none fits/);
  const third = pending(undefined, 'image-store-registry-mirror-hub-2');
  t.like(cacheAvailable(cache(2, 0, [third])), { reason: 'NoReplicaReady' });
  t.like(cacheAvailable(cache(3, 0, [third])), { reason: 'NoDefaultStorageClass' });
  const { statefulSet } = cache(2, 0);
  const ephemeral = { ...statefulSet!, spec: { replicas: 2 } };
  t.like(cacheAvailable({ statefulSet: ephemeral, claims: [pending()] }), { reason: 'NoReplicaReady' });
});

const now = new Date('2026-01-01T00:00:00Z');
const facts = { names: ['m.example', '*.pods'], now };

function given(days: number, names: string[]) {
  const notAfter = new Date(now.getTime() + days * 86_400_000);
  return { state: 'usable', secret: 'given', names, notAfter } as const;
}

test('A given certificate is judged by names and days left', (t) => {
  t.like(certificateValid({ ...facts, given: [] }), { status: 'True', reason: 'OwnAuthority' });
  const covers = certificateValid({ ...facts, given: [given(90, ['m.example'])] });
  t.like(covers, { status: 'True', reason: 'Given' });
  t.regex(covers.message, /until 2026-04-01 and covers all names/);
  const some = certificateValid({ ...facts, given: [given(90, [])] });
  t.regex(some.message, /does not cover m\.example/);
  const soon = certificateValid({ ...facts, given: [given(12, ['m.example'])] });
  t.like(soon, { reason: 'ExpiresSoon', warn: true });
  t.regex(soon.message, /^12 days are left/);
});

test('A given certificate that cannot be used says what is served instead', (t) => {
  const missing = { state: 'missing', secret: 'given', why: 'the Secret does not exist' } as const;
  const own = certificateValid({ ...facts, given: [missing] });
  t.like(own, { status: 'False', reason: 'SecretNotFound', warn: true });
  t.regex(own.message, /own authority is served/);
  const kept = certificateValid({ ...facts, keptUntil: new Date('2026-05-01'), given: [missing] });
  t.regex(kept.message, /copy of the last working one stays in force, valid until 2026-05-01/);
  const awaited = certificateValid({ ...facts, given: [missing], issued: 'given' });
  t.like(awaited, { status: 'False', reason: 'CertificatePending' });
  t.is(awaited.warn, undefined);
});

test('A renewed authority is told while it waits, and which nodes it did not wait for', (t) => {
  const waiting = { state: 'waiting', until: new Date('2026-01-01T00:55:00Z') } as const;
  const told = certificateValid({ ...facts, given: [], renewal: waiting });
  t.like(told, { status: 'True', reason: 'OwnAuthority' });
  t.regex(told.message, /at the latest at 2026-01-01T00:55:00Z/);
  const behind = { state: 'behind', nodes: 'node-a, node-b' } as const;
  const late = certificateValid({ ...facts, given: [], renewal: behind });
  t.like(late, { status: 'True', reason: 'AgentsBehind', warn: true });
  t.regex(late.message, /on nodes: node-a, node-b/);
  const missing = { state: 'missing', secret: 'given', why: 'the Secret does not exist' } as const;
  const both = certificateValid({ ...facts, given: [missing], renewal: behind });
  t.like(both, { status: 'False', reason: 'SecretNotFound', warn: true });
  t.regex(both.message, /node-a/);
});

test('A mirror is ready when it serves what was asked for; what a person can mend is named first', (t) => {
  const available = cacheAvailable(cache(1, 1));
  t.like(ready([stalled([]), available]), { status: 'True', reason: 'Serving' });
  const obstacle = { reason: 'MasqueradeConflict', message: 'm' };
  t.like(ready([cacheAvailable(cache(2, 0)), stalled([obstacle])]), {
    status: 'False',
    reason: 'MasqueradeConflict',
  });
  t.like(ready([stalled([]), cacheAvailable({ claims: [] })]), { status: 'Unknown', reason: 'NotCreated' });
});

test('Several obstacles are one condition with the first one’s reason', (t) => {
  const finding = stalled([
    { reason: 'One', message: 'a' },
    { reason: 'Two', message: 'b' },
  ]);
  t.like(finding, { status: 'True', reason: 'One', message: 'a; b', warn: true });
});
