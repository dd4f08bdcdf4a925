import test from 'ava';
import type { KubeClient } from '../../../../src/kube/client.ts';
import { ApiError } from '../../../../src/kube/errors.ts';
import type { KubeObject } from '../../../../src/kube/object.ts';
import { Store } from '../../../../src/kube/store.ts';
import { WaitingError } from '../../../../src/observe/errors.ts';
import { createLogger } from '../../../../src/observe/log.ts';
import { LiveView } from '../../../../src/operator/live-view.ts';
import { Applier } from '../../../../src/operator/registry-mirror/apply.ts';
import { ObjectsPass } from '../../../../src/operator/registry-mirror/objects-pass.ts';
import { secrets, services } from '../../../../src/operator/resource-types.ts';

const { signal } = new AbortController();
const service = (port: number): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: 'mirror', namespace: 'ours', uid: 'u', resourceVersion: '1' },
  spec: { ports: [{ name: 'https', port }] },
});

/** An API server that shows `live` whatever is written. */
function setUp(live: KubeObject, answer: (desired: KubeObject) => KubeObject = (desired) => desired) {
  const store = new Store();
  store.put(live);
  const calls: string[] = [];
  const client = {
    apply: async (_type: unknown, desired: KubeObject) => {
      calls.push('apply');
      return answer(desired);
    },
    delete: async () => {
      calls.push('delete');
      return true;
    },
  } as unknown as KubeClient;
  const type = live.kind === 'Secret' ? secrets : services;
  const view = new LiveView(store);
  // Somebody puts his own back at once.
  view.written = () => undefined;
  return {
    calls,
    applier: new Applier({ client, home: () => ({ type, view }), logger: createLogger({ level: 'silent' }) }),
  };
}

test('where somebody undoes the same time and again, it waits and says who waits for what', async (t) => {
  const { calls, applier } = setUp(service(80));
  for (let time = 0; time < 10; time += 1) await applier.apply(service(443), signal);
  const error = await t.throwsAsync(applier.apply(service(443), signal), { instanceOf: WaitingError });
  t.regex(error?.message ?? '', /^Service ours\/mirror: somebody undoes each write of ours \(spec\.ports/);
  t.true((error?.retryAfterMs ?? 0) > 55_000);
  t.is(calls.length, 10);

  const pass = new ObjectsPass(applier);
  t.false(await pass.apply(service(443), signal));
  t.deepEqual(pass.obstacles, []);
  t.true(pass.failure instanceof WaitingError, 'the other objects go on, and the pass comes again');
  await t.notThrowsAsync(applier.apply(service(8443), signal), 'something else is wanted');
});

test('what the API server refuses is nobody’s undoing', async (t) => {
  const { calls, applier } = setUp(service(80), () => {
    throw new ApiError('PATCH service', 403);
  });
  for (let time = 0; time < 20; time += 1)
    await t.throwsAsync(applier.apply(service(443), signal), { instanceOf: ApiError });
  t.is(calls.length, 20);
});

test('a Secret that no write can change is replaced, one that is as desired is not', async (t) => {
  const secret = (more: object): KubeObject => ({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 's', namespace: 'ours', uid: 'u', resourceVersion: '1' },
    type: 'kubernetes.io/tls',
    data: { 'tls.crt': 'eA==' },
    ...more,
  });
  const desired = secret({});
  for (const fixed of [{ type: 'Opaque' }, { immutable: true, data: { 'tls.crt': 'eQ==' } }]) {
    const { calls, applier } = setUp(secret(fixed));
    await applier.apply(desired, signal);
    t.deepEqual(calls, ['delete', 'apply']);
  }
  const { calls, applier } = setUp(secret({ immutable: true }));
  await applier.apply(desired, signal);
  t.deepEqual(calls, []);
});
