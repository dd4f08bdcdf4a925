import test from 'ava';
import { nodeWiring } from '../../../../src/api/nodes.ts';
import type { RegistryMirror } from '../../../../src/api/registry-mirror.ts';
import type { OperatorSettings } from '../../../../src/api/settings.ts';
import type { KubeObject } from '../../../../src/kube/object.ts';
import { podCacheConfig } from '../../../../src/operator/registry-mirror/cache-view.ts';
import { decideCredentials, withCredentials } from '../../../../src/operator/registry-mirror/credentials.ts';
import type { LiveStatefulSet } from '../../../../src/operator/registry-mirror/live-objects.ts';
import { mountedCredentials } from '../../../../src/operator/registry-mirror/mounted-credentials.ts';
import { cacheStatefulSet } from '../../../../src/resources/stateful-set.ts';
import { mirrorOf, settingsOf } from '../../resources/fixtures.ts';

const settings = settingsOf();
const strict = settingsOf({ REQUIRE_CREDENTIALS_LABEL: 'true' });
const mirror = mirrorOf({ upstreamUrl: 'gcr.io', credentialsSecret: 'wanted', access: 'shared' });
const labels = { 'k8s.osp.tech/mirror-credentials': 'true' };

function secret(data: Record<string, string>, marks: Record<string, string> = {}): KubeObject {
  const metadata = { name: 'wanted', namespace: 'default', labels: marks };
  return { apiVersion: 'v1', kind: 'Secret', metadata, data };
}

type Maker = 'us' | 'python' | 'us, adopted';

function set(secretName: string, maker: Maker = 'us', registry = 'gcr.io'): LiveStatefulSet {
  const entry = maker === 'python' ? { manager: 'OpenAPI-Generator', operation: 'Update' } : ours;
  return {
    apiVersion: 'apps/v1',
    kind: 'StatefulSet',
    metadata: {
      name: 'registry-mirror-hub',
      managedFields: [{ ...entry, apiVersion: 'apps/v1', fieldsV1: { 'f:spec': {} } }],
      ...(maker === 'us, adopted' && { annotations: { 'k8s.osp.tech/adopted': 'true' } }),
    } as LiveStatefulSet['metadata'],
    spec: {
      template: {
        spec: {
          volumes: [{ name: 'credentials', secret: { secretName } }],
          containers: [
            {
              volumeMounts: [
                { name: 'credentials', mountPath: `/etc/registry-mirror/credentials/${registry}` },
              ],
            },
          ],
        },
      },
    },
  };
}

const ours = { manager: 'registry-mirror-operator', operation: 'Apply' };
const working = secret({ username: 'set', password: 'set' });

interface One {
  readonly mirror: RegistryMirror;
  readonly settings: OperatorSettings;
  readonly statefulSet?: LiveStatefulSet;
  /** The Secret that is asked for. */
  readonly secret?: KubeObject;
  /** The one that the pods mount, where it is another one. */
  readonly mountedSecret?: KubeObject;
}

/** The decision over one Secret for all repositories. */
function decideOne({ secret, mountedSecret, ...inputs }: One) {
  const mounted = mountedCredentials(inputs.statefulSet, 'gcr.io');
  const find = (name: string) => (name === 'wanted' ? secret : mountedSecret);
  const { mount, finding } = decideCredentials({ ...inputs, mounted, find });
  return { mount: mount[0]?.secret, finding };
}

test('Without a Secret the upstream is asked anonymously', (t) => {
  const decision = decideOne({ mirror: mirrorOf({ upstreamUrl: 'gcr.io' }), settings });
  t.is(decision.mount, undefined);
  t.like(decision.finding, { status: 'True', reason: 'Anonymous' });
});

test('Every kind of Secret the broker reads is mounted', (t) => {
  for (const data of [{ username: 's', password: 's' }, { '.dockerconfigjson': 's' }, { token: 's' }]) {
    const decision = decideOne({ mirror, settings, secret: secret(data) });
    t.is(decision.mount, 'wanted');
    t.is(decision.finding.reason, 'Valid');
  }
});

test('A missing Secret is mounted where nothing else is, so that its arrival restarts nothing', (t) => {
  const decision = decideOne({ mirror, settings });
  t.is(decision.mount, 'wanted');
  t.like(decision.finding, { status: 'False', reason: 'SecretNotFound', warn: true });
});

test('What works stays mounted until the new Secret can be used', (t) => {
  for (const candidate of [undefined, secret({ username: 's' }), secret({ username: 's', password: '' })]) {
    const decision = decideOne({
      mirror,
      settings,
      statefulSet: set('works'),
      ...(candidate && { secret: candidate }),
    });
    t.is(decision.mount, 'works');
    t.is(decision.finding.status, 'False');
  }
  t.is(decideOne({ mirror, settings, statefulSet: set('works'), secret: working }).mount, 'wanted');
});

test('What works at one upstream is not shown to another one while the new Secret is missing', (t) => {
  const statefulSet = set('works', 'us', 'other.example');
  const decision = decideOne({ mirror, settings, statefulSet });
  t.is(decision.mount, 'wanted');
  t.regex(decision.finding.message, /asked without credentials/);
});

test('A Secret that needs a label is not mounted before it has it, nor before it exists', (t) => {
  t.is(decideOne({ mirror, settings: strict }).mount, undefined);
  const unlabelled = decideOne({ mirror, settings: strict, secret: working });
  t.is(unlabelled.mount, undefined);
  t.is(unlabelled.finding.reason, 'SecretNotLabelled');
  const labelled = secret({ username: 's', password: 's' }, labels);
  t.is(decideOne({ mirror, settings: strict, secret: labelled }).mount, 'wanted');
});

test('A mirror of an earlier operator keeps its Secret without the label', (t) => {
  const adopted = { mirror, settings: strict, secret: working };
  for (const maker of ['python', 'us, adopted'] as const) {
    const decision = decideOne({ ...adopted, statefulSet: set('wanted', maker) });
    t.is(decision.mount, 'wanted', maker);
    t.is(decision.finding.reason, 'Valid', maker);
  }
});

test('A Secret without the label does not stay mounted in pods of a mirror we made', (t) => {
  const made = { mirror, settings: strict, secret: working, statefulSet: set('wanted') };
  t.is(decideOne(made).mount, undefined);
  t.is(decideOne(made).finding.reason, 'SecretNotLabelled');
});

test('Where the label is needed, another Secret stays mounted only while it has it', (t) => {
  const asked = { mirror, settings: strict, secret: working, statefulSet: set('other') };
  t.is(decideOne(asked).mount, undefined, 'it does not exist');
  const other = (marks?: Record<string, string>) => secret({ token: 'set' }, marks);
  t.is(decideOne({ ...asked, mountedSecret: other() }).mount, undefined);
  t.is(decideOne({ ...asked, mountedSecret: other(labels) }).mount, 'other');
});

test('The token of a service account is never mounted, nor kept mounted', (t) => {
  const token = { ...secret({ token: 'set' }), type: 'kubernetes.io/service-account-token' };
  for (const statefulSet of [undefined, set('wanted')]) {
    const decision = decideOne({
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
  t.is(decideOne(other).mount, 'works');
  t.is(decideOne({ ...other, mountedSecret: token }).mount, undefined);
});

const several = mirrorOf({
  upstreamUrl: 'gcr.io',
  access: 'shared',
  credentials: [
    { secret: 'all' },
    { prefix: 'team/a', secret: 'team' },
    { prefix: 'team', secret: 'team' },
    { prefix: 'other', secret: 'other' },
  ],
});

test('Of several Secrets each is judged by itself, and the faulty ones are named', (t) => {
  const secrets: Record<string, KubeObject> = { all: working, team: secret({ username: 's' }) };
  const { mount, finding } = decideCredentials({
    mirror: several,
    settings,
    mounted: [{ prefix: 'team', secret: 'before' }],
    find: (name) => secrets[name],
  });
  t.deepEqual(mount, [
    { prefix: '', secret: 'all' },
    { prefix: 'team/a', secret: 'team' },
    { prefix: 'team', secret: 'before' },
    { prefix: 'other', secret: 'other' },
  ]);
  t.like(finding, { status: 'False', reason: 'SecretWithoutCredentials', warn: true });
  t.regex(finding.message, /default\/team has neither .* below team\/a .*default\/other does not exist/);
  t.regex(
    finding.message,
    /below other are asked for without credentials/,
    'it is mounted, and has the prefix',
  );
  t.notRegex(finding.message, /default\/all/);
});

test('Each of several Secrets needs the label', (t) => {
  const secrets: Record<string, KubeObject> = { all: secret({ token: 's' }, labels), team: working };
  const find = (name: string) => secrets[name];
  const { mount, finding } = decideCredentials({ mirror: several, settings: strict, mounted: [], find });
  t.deepEqual(mount, [{ prefix: '', secret: 'all' }]);
  t.is(finding.reason, 'SecretNotLabelled');
  t.regex(finding.message, /below team\/a are asked for as if it had no entry: by the next shorter prefix/);
});

test('Pods tell what they mount, so that a Secret is known again by its prefix', (t) => {
  const set = cacheStatefulSet({ mirror: several, settings }) as unknown as LiveStatefulSet;
  t.deepEqual(mountedCredentials(set, 'gcr.io'), several.spec.credentials);
  t.deepEqual(mountedCredentials(set, 'gcr.io:8443'), [], 'for another registry');
  const names = set.spec?.template?.spec?.volumes?.flatMap(({ secret }) => secret?.secretName ?? []);
  t.deepEqual(
    names?.filter((name) => !name.startsWith('registry-mirror')),
    ['all', 'other', 'team'],
  );
});

test('Pods that are still to be replaced find the Secret they have for the same registry alone', (t) => {
  const dirs = (upstreamUrl: string, secret: string) => {
    const credentials = [{ secret }, { prefix: 'team/a', secret }];
    const mirror = mirrorOf({ upstreamUrl, masqueradeUrl: 'a.test', access: 'shared', credentials });
    const { mirrors } = podCacheConfig({ mirror, settings }, { clusterIPs: [] });
    return mirrors[0]?.credentials.map(({ dir }) => dir) ?? [];
  };
  const before = dirs('registry.example:8443', 'one');
  t.is(before.length, 2);
  t.deepEqual(dirs('registry.example:8443/team', 'other'), before);
  for (const moved of ['registry.example', 'registry.example:8444', 'other.example:8443', '[fd00::1]:8443']) {
    const after = dirs(moved, 'one');
    t.is(after.length, 2);
    t.deepEqual(
      after.filter((dir) => before.includes(dir) || dir.includes(':')),
      [],
      moved,
    );
  }
});

test('With credentials and no word on access, everybody may read, and a warning says so', (t) => {
  const unsaid = mirrorOf({ upstreamUrl: 'gcr.io', credentialsSecret: 'wanted' });
  const { finding } = decideOne({ mirror: unsaid, settings, secret: working });
  t.like(finding, { status: 'True', reason: 'SharedByDefault', warn: 'once' });
  t.regex(finding.message, /whoever reaches the mirror may read/);
});

test('Who may read does not change when credentials cannot be mounted', (t) => {
  const decision = decideCredentials({ mirror, settings: strict, mounted: [], find: () => working });
  const { spec } = withCredentials(mirror, decision, strict);
  t.deepEqual([spec.credentials, spec.access], [[], 'shared']);
  const { access: _unset, ...wanted } = mirror.spec;
  const transparent = { ...mirror, spec: { ...wanted, nodes: { wire: 'transparent' as const } } };
  t.true(nodeWiring(transparent, 'hostess').clientCertificate);
  const seen = withCredentials(transparent, decision, strict);
  t.is(seen.spec.access, 'shared');
  t.true(nodeWiring(seen, 'hostess').clientCertificate, 'what was cached by them is not for every pod now');
  t.false(nodeWiring(withCredentials(mirror, decision, strict), 'hostess').clientCertificate);
});
