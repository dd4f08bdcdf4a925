import test, { type ExecutionContext } from 'ava';
import { createClient } from '../../../src/kube/client.ts';
import { EventRecorder, eventType } from '../../../src/kube/events.ts';
import type { KubeObject } from '../../../src/kube/object.ts';
import { startFakeApiServer } from '../../support/fake-api-server.ts';

const about: KubeObject = {
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: { name: 'a', namespace: 'ns', uid: 'uid-1', resourceVersion: '7' },
};

test('an event names its object the way kubectl describe looks for it', async (t) => {
  const { fake, recorder } = await setUp(t);
  await recorder().warning(about, 'SecretMissing', 'no such secret', { action: 'Reconcile' });
  const [event] = fake.state.list(eventType, 'ns');
  t.like(event, {
    type: 'Warning',
    reason: 'SecretMissing',
    message: 'no such secret',
    action: 'Reconcile',
    involvedObject: { kind: 'Secret', name: 'a', namespace: 'ns', uid: 'uid-1' },
    source: { component: 'operator' },
    firstTimestamp: '2026-01-02T03:04:05Z',
  });
});

test('a cause is written once, over restarts too, and another cause again', async (t) => {
  const { fake, recorder } = await setUp(t);
  const first = recorder();
  await first.warning(about, 'Broken', 'one');
  await first.warning(about, 'Broken', 'one');
  t.is(fake.requests.length, 1);
  await recorder().warning(about, 'Broken', 'one');
  await first.warning(about, 'Broken', 'two');
  await first.normal(about, 'Broken', 'one');
  await first.warning({ ...about, metadata: { ...about.metadata, uid: 'made-anew' } }, 'Broken', 'one');
  t.is(fake.state.list(eventType).length, 4);
});

test('a cause that occurs again is written again, once per occurrence', async (t) => {
  const { fake, recorder } = await setUp(t);
  const first = recorder();
  for (const events of [first, first, recorder()]) {
    await events.warning(about, 'Broken', 'one', { occurrence: 'first' });
    await events.warning(about, 'Broken', 'one', { occurrence: 'second' });
  }
  t.is(fake.state.list(eventType).length, 2);
});

test('an event about a cluster-scoped object is kept in default', async (t) => {
  const { fake, recorder } = await setUp(t);
  await recorder().normal(
    { apiVersion: 'v1', kind: 'Node', metadata: { name: 'n'.repeat(253), uid: 'u' } },
    'Wired',
    '',
  );
  const [event] = fake.state.list(eventType, 'default');
  t.true((event?.metadata.name.length ?? 999) <= 253);
});

test('a message is redacted and cut to what the API server takes', async (t) => {
  const { fake, recorder } = await setUp(t);
  await recorder().warning(about, 'Broken', `https://me:pass@host/ ${'é€😀'.repeat(1_000)}`);
  const message = String(fake.state.list(eventType)[0]?.['message']);
  t.false(message.includes('pass'));
  t.true(Buffer.byteLength(message) <= 1_024);
  t.true(message.endsWith('…') && !message.includes('\uFFFD'));
});

test('a failure throws nothing and is tried again; a missing permission is not tried at each event', async (t) => {
  const { fake, recorder } = await setUp(t);
  const events = recorder();
  fake.fail([{ status: 500 }, 'reset']);
  await events.warning(about, 'Broken', 'one');
  await events.warning(about, 'Broken', 'one');
  await events.warning(about, 'Broken', 'one');
  t.is(fake.state.list(eventType).length, 1);
  fake.script = () => ({ status: 403 });
  const before = fake.requests.length;
  for (const message of ['two', 'three', 'four']) await events.warning(about, 'Broken', message);
  t.is(fake.requests.length, before + 1);
});

async function setUp(t: ExecutionContext) {
  const fake = await startFakeApiServer([eventType]);
  const client = createClient(fake.connection(), { userAgent: 'test' });
  t.teardown(async () => {
    await client.close();
    await fake.stop();
  });
  const now = () => new Date('2026-01-02T03:04:05.678Z');
  return {
    fake,
    recorder: () => new EventRecorder({ client, component: 'operator', instance: 'pod-1', now }),
  };
}
