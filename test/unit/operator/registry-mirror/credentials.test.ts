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

type Maker = 'us' | 'python' | 'us, adopted';

function set(secretName: string, maker: Maker = 'us'): LiveStatefulSet {
  const entry = maker === 'python' ? { manager: 'OpenAPI-Generator', operation: 'Update' } : ours;
  return {
    apiVersion: 'apps/v1',
    kind: 'StatefulSet',
    metadata: {
      name: 'registry-mirror-hub',
      managedFields: [{ ...entry, apiVersion: 'apps/v1', fieldsV1: { 'f:spec': {} } }],
      ...(maker === 'us, adopted' && { annotations: { 'k8s.osp.tech/adopted': 'true' } }),
    } as LiveStatefulSet['metadata'],
    spec: { template: { spec: { volumes: [{ name: 'credentials', secret: { secretName } }] } } },
  };
}

const ours = { manager: 'registry-mirror-operator', operation: 'Apply' };
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
  for (const maker of ['python', 'us, adopted'] as const) {
    const decision = decideCredentials({ ...adopted, statefulSet: set('wanted', maker) });
    t.is(decision.mount, 'wanted', maker);
    t.is(decision.finding.reason, 'Valid', maker);
  }
});

test('A Secret without the label does not stay mounted in pods of a mirror we made', (t) => {
  const made = { mirror, settings: strict, secret: working, statefulSet: set('wanted') };
  t.is(decideCredentials(made).mount, undefined);
  t.is(decideCredentials(made).finding.reason, 'SecretNotLabelled');
});

test('Where the label is needed, another Secret stays mounted only while it has it', (t) => {
  const asked = { mirror, settings: strict, secret: working, statefulSet: set('other') };
  t.is(decideCredentials(asked).mount, undefined, 'it does not exist');
  const other = (marks?: Record<string, string>) => secret({ token: 'set' }, marks);
  t.is(decideCredentials({ ...asked, mountedSecret: other() }).mount, undefined);
  t.is(decideCredentials({ ...asked, mountedSecret: other(labels) }).mount, 'other');
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
  const other = { mirror, settings, secret: token, statefulSet: set('works') };
  t.is(decideCredentials(other).mount, 'works');
  t.is(decideCredentials({ ...other, mountedSecret: token }).mount, undefined);
});
