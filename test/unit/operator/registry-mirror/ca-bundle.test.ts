import test from 'ava';
import type { KubeObject } from '../../../../src/kube/object.ts';
import { caBundleMissing, preparedBundle } from '../../../../src/operator/registry-mirror/ca-bundle.ts';
import { settingsOf } from '../../resources/fixtures.ts';

const settings = settingsOf({ CA_CERTIFICATE_BUNDLE: 'corporate-ca' });

function bundle(more: Record<string, unknown>): KubeObject {
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'corporate-ca', namespace: 'default' },
    ...more,
  };
}

test('A bundle is missed only where one is asked for', (t) => {
  t.is(
    caBundleMissing(settingsOf(), () => undefined),
    undefined,
  );
  const asked: string[] = [];
  const missing = caBundleMissing(settings, (key) => {
    asked.push(key);
    return undefined;
  });
  t.is(missing?.reason, 'CABundleNotFound');
  t.deepEqual(asked, ['default/corporate-ca']);
});

test('A ConfigMap counts when the key that pods mount has a value, text or binary, also as it is kept', (t) => {
  const key = 'ca-certificates.crt';
  for (const has of [{ data: { [key]: 'PEM' } }, { binaryData: { [key]: 'UEVN' } }]) {
    for (const one of [bundle(has), preparedBundle(bundle(has))]) {
      t.is(
        caBundleMissing(settings, () => one),
        undefined,
      );
      t.false(JSON.stringify(preparedBundle(one)).includes('PEM'));
    }
  }
  for (const hasNot of [{}, { data: { 'ca.crt': 'PEM' } }, { data: { [key]: '' } }]) {
    const one = preparedBundle(bundle(hasNot));
    t.regex(caBundleMissing(settings, () => one)?.message ?? '', /has no key ca-certificates.crt/);
  }
});
