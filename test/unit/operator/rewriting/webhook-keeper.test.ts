import test from 'ava';
import type { WebhookSettings } from '../../../../src/api/webhook-settings.ts';
import type { KubeClient } from '../../../../src/kube/client.ts';
import { ApiError } from '../../../../src/kube/errors.ts';
import type { KubeObject } from '../../../../src/kube/object.ts';
import { Store } from '../../../../src/kube/store.ts';
import { createLogger } from '../../../../src/observe/log.ts';
import { LiveView } from '../../../../src/operator/live-view.ts';
import type { Applier } from '../../../../src/operator/registry-mirror/apply.ts';
import type { WebhookCertificate } from '../../../../src/operator/rewriting/webhook-certificate.ts';
import {
  WebhookKeeper,
  type WebhookKeeperOptions,
} from '../../../../src/operator/rewriting/webhook-keeper.ts';
import { defaultSettings } from '../../../support/rewriting/engine.ts';

const { signal } = new AbortController();

function configuration(name: string): KubeObject {
  return {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'MutatingWebhookConfiguration',
    metadata: { name, resourceVersion: '1' },
    webhooks: [{ clientConfig: {} }],
  };
}

const settings: WebhookSettings = {
  certificate: { kind: 'own' },
  failurePolicy: 'Ignore',
  timeoutSeconds: 5,
  reinvocationPolicy: 'IfNeeded',
  workloads: false,
  managesConfiguration: false,
  injectInto: [],
};

function keeperOf(
  store: Store,
  changed: Partial<WebhookSettings>,
  client = {} as KubeClient,
  more: Partial<WebhookKeeperOptions> = {},
): WebhookKeeper {
  return new WebhookKeeper({
    client,
    rewrite: defaultSettings,
    settings: { ...settings, ...changed },
    configurations: new LiveView(store),
    certificate: {
      ensure: async () => ({ authorities: 'PEM', afterMs: 1 }),
    } as unknown as WebhookCertificate,
    applier: {} as Applier,
    owner: async () => [],
    logger: createLogger({ level: 'silent' }),
    ...more,
  });
}

test('a configuration that may not be changed keeps no other one from being told the authority', async (t) => {
  const store = new Store();
  for (const name of ['theirs', 'ours']) store.put(configuration(name));
  const told: string[] = [];
  const client = {
    patch: async (_type: unknown, { name }: { name: string }) => {
      if (name === 'theirs') throw new ApiError(`PATCH ${name}`, 403);
      told.push(name);
      return configuration(name);
    },
  } as unknown as KubeClient;
  const keeper = keeperOf(store, { injectInto: ['theirs', 'ours'] }, client);
  await t.throwsAsync(keeper.reconcile('all', signal), { message: 'PATCH theirs: 403' });
  t.deepEqual(told, ['ours']);
});

test('with who puts another authority back each time nobody fights: ten writes a minute, and the others are told all the same', async (t) => {
  const store = new Store();
  for (const name of ['fought', 'ours']) store.put(configuration(name));
  const told: string[] = [];
  const client = {
    patch: async (_type: unknown, { name }: { name: string }) => {
      told.push(name);
      const clientConfig = { caBundle: Buffer.from('PEM').toString('base64') };
      return { ...configuration(name), webhooks: [{ clientConfig }] };
    },
  } as unknown as KubeClient;
  const keeper = keeperOf(store, { injectInto: ['fought', 'ours'] }, client);
  for (let at = 2; at < 12; at += 1) {
    await keeper.reconcile('all', signal);
    const { metadata, ...rest } = configuration('fought');
    store.put({ ...rest, metadata: { ...metadata, resourceVersion: `${at}` } });
  }
  const error = await t.throwsAsync(keeper.reconcile('all', signal), { name: 'WaitingError' });
  t.regex(error.message, /fought: somebody undoes each write of ours \(caBundle\)/);
  t.deepEqual([told.filter((name) => name === 'fought').length, told.includes('ours')], [10, true]);
});

test('the webhook covers what our configuration says, and everything where users announce it themselves', (t) => {
  const store = new Store();
  const [keeper, theirs] = [true, false].map((managesConfiguration) =>
    keeperOf(store, { managesConfiguration }),
  );
  t.deepEqual([keeper?.covered, theirs?.covered], [[], 'all']);
  store.put(configuration('registry-rewrite-webhook'));
  t.deepEqual([keeper?.covered, theirs?.covered], ['all', 'all']);
});

test('what others left out of its namespaces while the owner was asked for stays', async (t) => {
  const store = new Store();
  const name = 'registry-rewrite-webhook';
  const left = { key: 'managed', operator: 'NotIn', values: ['here'] };
  const applied: KubeObject[] = [];
  const keeper = keeperOf(store, { managesConfiguration: true }, undefined, {
    owner: async () => {
      const namespaceSelector = { matchExpressions: [left] };
      store.put({
        ...configuration(name),
        webhooks: [{ name: 'pods.rewrite.k8s.osp.tech', namespaceSelector }],
      });
      return [];
    },
    applier: { apply: async (object: KubeObject) => applied.push(object) } as unknown as Applier,
  });
  await keeper.reconcile('all', signal);
  t.true(JSON.stringify(applied).includes(JSON.stringify(left)), JSON.stringify(applied));
});
