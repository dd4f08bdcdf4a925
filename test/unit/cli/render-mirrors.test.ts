import test from 'ava';
import { loadAll } from 'js-yaml';
import { renderMirrors } from '../../../src/cli/render-mirrors.ts';
import type { KubernetesObject } from '../../../src/resources/object.ts';
import { mirrorOf, settingsOf } from '../resources/fixtures.ts';

const hub = mirrorOf({ upstreamUrl: 'docker.io' }, { name: 'hub' });
const quay = mirrorOf({ upstreamUrl: 'quay.io', credentialsSecret: 'robot' }, { name: 'quay' });
const addresses = (others: string[] = [], byMirror: [string, string[]][] = []) => ({
  others,
  byMirror: new Map(byMirror),
});

function names(text: string): string[] {
  return (loadAll(text) as KubernetesObject[]).map(({ kind, metadata }) => `${kind}/${metadata.name}`);
}

test('a mirror becomes the objects of the contract, in one order whatever the file’s', (t) => {
  const { text } = renderMirrors([quay, hub], settingsOf(), addresses(['10.96.0.10']));
  const ofOne = (name: string) => [
    `Secret/registry-mirror-${name}-client`,
    `Secret/registry-mirror-${name}-leaf`,
    `Secret/registry-mirror-${name}-secret`,
    `Service/registry-mirror-${name}`,
    `Service/registry-mirror-${name}-headless`,
    `StatefulSet/registry-mirror-${name}`,
    `PodDisruptionBudget/registry-mirror-${name}`,
    `DaemonSet/registry-mirror-${name}-utils`,
  ];
  t.deepEqual(names(text), [...ofOne('hub'), ...ofOne('quay')]);
  t.is(renderMirrors([hub, quay], settingsOf(), addresses(['10.96.0.10'])).text, text);
});

test('what needs the Service’s address is left out without it, and that is said', (t) => {
  const { text, notes } = renderMirrors([hub], settingsOf(), addresses());
  t.false(names(text).some((name) => name.startsWith('DaemonSet')));
  t.true(notes.some((note) => /^hub: left out without the Service's address .*DaemonSet/.test(note)));
});

test('the address in a mirror’s status is used when none is given', (t) => {
  const known = { ...hub, status: { clusterIPs: ['10.96.7.7'] } };
  t.regex(renderMirrors([known], settingsOf(), addresses()).text, /MIRROR_ADDRESSES\n\s+value: 10\.96\.7\.7/);
});

test('services mode adds the Certificate and one map of all mirrors, each with its own address', (t) => {
  const settings = settingsOf({ ADDRESSING_SCHEME: 'services', IMAGESWAP_NAMESPACE: 'imageswap-system' });
  const { text } = renderMirrors([hub, quay], settings, addresses(['10.96.0.2'], [['hub', ['10.96.0.1']]]));
  const objects = loadAll(text) as KubernetesObject[];
  t.is(objects.filter(({ kind }) => kind === 'Certificate').length, 2);
  t.deepEqual(objects.at(-1), {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'imageswap-maps', namespace: 'imageswap-system' },
    data: {
      maps: 'default:\nmirror-docker.io:10.96.0.1/mirror-docker.io\nmirror-quay.io:10.96.0.2/mirror-quay.io\n',
    },
  });
});

test('a mirror that cannot be put into force is named, the others are rendered', (t) => {
  const twin = mirrorOf({ upstreamUrl: 'ghcr.io', masqueradeUrl: 'mirror-docker.io' }, { name: 'twin' });
  const { text, notes } = renderMirrors([twin, hub], settingsOf(), addresses());
  t.false(text.includes('registry-mirror-twin'));
  t.true(text.includes('registry-mirror-hub'));
  t.true(notes.some((note) => /^twin: nothing is made: .*belongs to RegistryMirror hub/.test(note)));
});

test('of two mirrors that would share a Service one is rendered', (t) => {
  const other = mirrorOf({ upstreamUrl: 'ghcr.io' }, { name: 'hub-headless' });
  const { text, notes } = renderMirrors([hub, other], settingsOf(), addresses());
  t.is(text.split('name: registry-mirror-hub-headless\n').length - 1, 1);
  t.true(notes.some((note) => /^hub-headless: nothing is made: its name makes a Service/.test(note)));
});

test('no key or certificate is printed, and where they belong is said beside it', (t) => {
  const { text } = renderMirrors([hub], settingsOf(), addresses());
  t.regex(
    text,
    /---\n# Certificates and keys are made by the operator; a given certificate is copied beside them\.\napiVersion: v1\nkind: Secret/,
  );
  const leaf = (loadAll(text) as KubernetesObject[]).find(({ metadata }) => metadata.name.endsWith('-leaf'));
  t.deepEqual(leaf?.['data'], { 'tls.crt': '', 'tls.key': '', 'ca.crt': '', 'peer-ca.crt': '' });
});

test('what fields mean for people is said beside the objects', (t) => {
  const mirror = mirrorOf({
    upstreamUrl: 'quay.io',
    credentialsSecret: 'robot',
    storage: 'ephemeral',
    cache: { maxSize: '1Ti' },
    nodes: { clientCertificate: true },
  });
  const { notes } = renderMirrors([mirror], settingsOf(), addresses(['10.96.0.10']));
  const said = notes.join('\n');
  t.regex(said, /hub: spec\.access is not set and is shared by default: whoever reaches the mirror may read/);
  t.regex(
    said,
    /hub: who reads must show a certificate .* who dials the Service, .* has none and is refused/,
  );
  t.regex(said, /hub: the cache of a replica lies on its node and is lost with its pod/);
  t.regex(said, /hub: cache\.maxSize 1Ti is more than 80 %/);
  const nodes = { wire: 'transparent' };
  const forwarded = mirrorOf({ upstreamUrl: 'quay.io', credentialsSecret: 'robot', nodes });
  t.regex(renderMirrors([forwarded], settingsOf(), addresses()).notes.join(), /who reads must show/);
  const shared = mirrorOf({ upstreamUrl: 'quay.io', credentialsSecret: 'robot', access: 'shared' });
  const quiet = renderMirrors([shared], settingsOf(), addresses(['10.96.0.10'])).notes;
  t.is(quiet.length, 1, quiet.join('\n'));
});

test('which names have the upstream behind the mirror is said, also where the masquerade is one of them', (t) => {
  const said = (spec: Parameters<typeof mirrorOf>[0]) =>
    renderMirrors([mirrorOf(spec)], settingsOf(), addresses())
      .notes.filter((note) => note.includes('pulled as'))
      .map((note) => note.replace('hub: ', ''));
  const alias = 'no fallback: what is pulled as mirror-quay.io comes from the mirror or not at all';
  const own = 'what is pulled as quay.io comes from the mirror, else from the upstream';
  t.deepEqual(said({ upstreamUrl: 'quay.io' }), [alias]);
  t.deepEqual(said({ upstreamUrl: 'quay.io', nodes: { wire: 'transparent' } }), [own, alias]);
  t.deepEqual(said({ upstreamUrl: 'quay.io', masqueradeUrl: 'quay.io' }), [own]);
  t.deepEqual(said({ upstreamUrl: 'docker.io', masqueradeUrl: 'registry-1.docker.io' }), [
    own.replace('quay.io', 'docker.io'),
  ]);
});
