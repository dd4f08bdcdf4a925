import test from 'ava';
import type { KubeObject } from '../../../../src/kube/object.ts';
import { decideCredentials } from '../../../../src/operator/registry-mirror/credentials.ts';
import type { LiveStatefulSet } from '../../../../src/operator/registry-mirror/live-objects.ts';
import { mirrorOf, settingsOf } from '../../resources/fixtures.ts';

const settings = settingsOf();
const strict = settingsOf({ REQUIRE_CREDENTIALS_LABEL: 'true' });
const mirror = mirrorOf({ upstreamUrl: 'gcr.io', credentialsSecret: 'wanted' });
const labels = { 'k8s.osp.tech/mirror-credentials': 'true' };

function secret(data: Record<string, string>, marks: Record<string, string> = {}): KubeObject {
  const metadata = { name: 'wanted', namespace: 'default', labels: marks };
  return { apiVersion: 'v1', kind: 'Secret', metadata, data };
}

function set(secretName: string, appliedByUs = true): LiveStatefulSet {
  const entry = {
    manager: 'registry-mirror-operator',
    operation: 'Apply',
    apiVersion: 'apps/v1',
    fieldsV1: {},
  };
  return {
    apiVersion: 'apps/v1',
    kind: 'StatefulSet',
    metadata: {
      name: 'registry-mirror-hub',
      managedFields: appliedByUs ? [{ ...entry, operation: 'Apply' as const }] : [],
    },
    spec: { template: { spec: { volumes: [{ name: 'credentials', secret: { secretName } }] } } },
  };
}

const working = secret({ username: 'set', password: 'set' });

test('Without a Secret the upstream is asked anonymously', (t) => {
  const decision = decideCredentials({ mirror: mirrorOf({ upstreamUrl: 'gcr.io' }), settings });
  t.is(decision.mount, undefined);
  t.like(decision.finding, { status: 'True', reason: 'Anonymous' });
});

test('Every kind of Secret the broker reads is mounted', (t) => {
  for (const data of [{ username: 's', password: 's' }, { '.dockerconfigjson': 's' }, { token: 's' }]) {
    const decision = decideCredentials({ mirror, settings, secret: secret(data) });
    t.is(decision.mount, 'wanted');
    t.is(decision.finding.reason, 'Valid');
  }
});

test('A missing Secret is mounted where nothing else is, so that its arrival restarts nothing', (t) => {
  const decision = decideCredentials({ mirror, settings });
  t.is(decision.mount, 'wanted');
  t.like(decision.finding, { status: 'False', reason: 'SecretNotFound', warn: true });
});

test('What works stays mounted until the new Secret can be used', (t) => {
  for (const candidate of [undefined, secret({ username: 's' }), secret({ username: 's', password: '' })]) {
    const decision = decideCredentials({
      mirror,
      settings,
      statefulSet: set('works'),
      ...(candidate && { secret: candidate }),
    });
    t.is(decision.mount, 'works');
    t.is(decision.finding.status, 'False');
  }
  t.is(decideCredentials({ mirror, settings, statefulSet: set('works'), secret: working }).mount, 'wanted');
});

test('A Secret that needs a label is not mounted before it has it, nor before it exists', (t) => {
  t.is(decideCredentials({ mirror, settings: strict }).mount, undefined);
  const unlabelled = decideCredentials({ mirror, settings: strict, secret: working });
  t.is(unlabelled.mount, undefined);
  t.is(unlabelled.finding.reason, 'SecretNotLabelled');
  const labelled = secret({ username: 's', password: 's' }, labels);
  t.is(decideCredentials({ mirror, settings: strict, secret: labelled }).mount, 'wanted');
});

test('A mirror of an earlier operator keeps its Secret without the label', (t) => {
  const adopted = { mirror, settings: strict, secret: working };
  t.is(decideCredentials({ ...adopted, statefulSet: set('none', false) }).finding.reason, 'Valid');
  t.is(decideCredentials({ ...adopted, statefulSet: set('wanted') }).finding.reason, 'Valid');
  t.is(decideCredentials({ ...adopted, statefulSet: set('other') }).mount, 'other');
});

test('The token of a service account is never mounted, nor kept mounted', (t) => {
  const token = { ...secret({ token: 'set' }), type: 'kubernetes.io/service-account-token' };
  for (const statefulSet of [undefined, set('wanted')]) {
    const decision = decideCredentials({
      mirror,
      settings,
      secret: token,
      ...(statefulSet && { statefulSet }),
    });
    t.is(decision.mount, undefined);
    t.like(decision.finding, { status: 'False', reason: 'SecretIsServiceAccountToken', warn: true });
    t.regex(decision.finding.message, /without credentials/);
  }
  t.is(decideCredentials({ mirror, settings, secret: token, statefulSet: set('works') }).mount, 'works');
});
