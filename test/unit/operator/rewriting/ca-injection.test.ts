import test from 'ava';
import type { KubeObject } from '../../../../src/kube/object.ts';
import { announcedBundles, injectionPatch } from '../../../../src/operator/rewriting/ca-injection.ts';

const encoded = (text: string) => Buffer.from(text).toString('base64');

function configuration(...bundles: (string | undefined)[]): KubeObject {
  return {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'MutatingWebhookConfiguration',
    metadata: { name: 'theirs', resourceVersion: '7' },
    webhooks: bundles.map((bundle) => ({
      clientConfig: { url: 'https://127.0.0.1', ...(bundle !== undefined && { caBundle: encoded(bundle) }) },
    })),
  };
}

test('every webhook gets the bundle, and only where it has another', (t) => {
  t.deepEqual(injectionPatch(configuration('old', 'new', undefined), 'new'), [
    { op: 'test', path: '/metadata/resourceVersion', value: '7' },
    { op: 'add', path: '/webhooks/0/clientConfig/caBundle', value: encoded('new') },
    { op: 'add', path: '/webhooks/2/clientConfig/caBundle', value: encoded('new') },
  ]);
});

test('where all have it there is nothing to write', (t) => {
  t.is(injectionPatch(configuration('new', 'new'), 'new'), undefined);
  t.is(injectionPatch(configuration(), 'new'), undefined);
  const { webhooks: _, ...withoutWebhooks } = configuration() as KubeObject & { webhooks: unknown };
  t.is(injectionPatch(withoutWebhooks as KubeObject, 'new'), undefined);
});

test('the bundles are those of the webhooks; none is empty text', (t) => {
  t.deepEqual(announcedBundles(configuration('one', undefined)), ['one', '']);
});
