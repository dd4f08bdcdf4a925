import test from 'ava';
import { rewrittenNamespaces } from '../../../src/api/rewrite-selectors.ts';
import {
  announcedNamespaces,
  exclusionsOfOthers,
  webhookConfiguration,
  webhookConfigurationView,
} from '../../../src/resources/webhook.ts';
import { defaultSettings } from '../../support/rewriting/engine.ts';

const settings = {
  certificate: { kind: 'own' },
  failurePolicy: 'Ignore',
  timeoutSeconds: 5,
  reinvocationPolicy: 'IfNeeded',
  workloads: true,
  managesConfiguration: true,
  injectInto: [],
} as const;

test('with Fail, workloads in the operator’s namespace, what runs the webhook among them, are not sent to it; their pods are', (t) => {
  const input = { rewrite: defaultSettings, authorities: '', namespaces: 'all', owner: [] } as const;
  const selectors = (failurePolicy: 'Ignore' | 'Fail') =>
    webhookConfigurationView({ ...input, settings: { ...settings, failurePolicy } }).webhooks.map(
      ({ namespaceExpressions }) => namespaceExpressions,
    );
  const own = { key: 'kubernetes.io/metadata.name', operator: 'NotIn', values: ['default'] } as const;
  t.deepEqual(selectors('Ignore'), [rewrittenNamespaces(), rewrittenNamespaces()]);
  t.deepEqual(selectors('Fail'), [
    rewrittenNamespaces(),
    rewrittenNamespaces(),
    [...rewrittenNamespaces(), own],
  ]);
});

test('of requirements of others only those stay that leave something out', (t) => {
  const input = {
    settings,
    rewrite: defaultSettings,
    authorities: '',
    namespaces: 'all',
    owner: [],
  } as const;
  const left = { key: 'managed', operator: 'DoesNotExist' };
  const theirs = [
    left,
    { key: 'chosen', operator: 'Exists' },
    { key: 'kubernetes.io/metadata.name', operator: 'NotIn', values: ['team'] },
  ];
  const name = 'pods.rewrite.k8s.osp.tech';
  const live = { webhooks: [{ name, namespaceSelector: { matchExpressions: theirs } }] };
  const { webhooks } = webhookConfigurationView({ ...input, exclusions: exclusionsOfOthers(live) });
  t.deepEqual(
    webhooks.map(({ namespaceExpressions }) => namespaceExpressions),
    [[...rewrittenNamespaces(), left], rewrittenNamespaces()],
  );
});

test('a configuration tells which namespaces it is for', (t) => {
  for (const namespaces of ['all', ['team', 'other']] as const) {
    const input = { settings, rewrite: defaultSettings, authorities: '', namespaces, owner: [] };
    t.deepEqual(announcedNamespaces(webhookConfiguration(input)), namespaces);
  }
  t.is(announcedNamespaces({ webhooks: [{}] }), 'all');
  t.is(announcedNamespaces({}), 'all');
});
