import test from 'ava';
import { announcedNamespaces, webhookConfiguration } from '../../../src/resources/webhook.ts';
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

test('a configuration tells which namespaces it is for', (t) => {
  for (const namespaces of ['all', ['team', 'other']] as const) {
    const input = { settings, rewrite: defaultSettings, authorities: '', namespaces, owner: [] };
    t.deepEqual(announcedNamespaces(webhookConfiguration(input)), namespaces);
  }
  t.is(announcedNamespaces({ webhooks: [{}] }), 'all');
  t.is(announcedNamespaces({}), 'all');
});
