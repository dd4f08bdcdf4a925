import test from 'ava';
import { mapDifference } from '../../../src/operator/imageswap-map/config-map.ts';
import { imageswapMap } from '../../../src/operator/imageswap-map/map.ts';
import { type MapMirror, mapAddress, mapMirrors } from '../../../src/rewriting/services-mirrors.ts';

function mapMirror(name: string, fields: Partial<MapMirror> = {}): MapMirror {
  return {
    name,
    masquerade: `mirror-${name}`,
    clusterIPs: ['10.0.0.1'],
    asksCertificate: false,
    ...fields,
  };
}

test('the map begins with default and has one line per mirror by name', (t) => {
  const { text } = imageswapMap([mapMirror('b', { clusterIPs: ['10.0.0.2'] }), mapMirror('a')], ':');
  t.is(text, 'default:\nmirror-a:10.0.0.1/mirror-a\nmirror-b:10.0.0.2/mirror-b\n');
});

test('no mirrors give a map with the default line alone', (t) => {
  t.is(imageswapMap([], ':').text, 'default:\n');
});

test('the dialect of imageswap 1.5 separates by two colons', (t) => {
  t.is(imageswapMap([mapMirror('a')], '::').text, 'default::\nmirror-a::10.0.0.1/mirror-a\n');
});

test('Docker Hub under its own name gets a second line for names of one segment', (t) => {
  for (const upstreamUrl of ['hub.docker.io', 'harbor.example/dockerhub-proxy']) {
    const spec = { upstreamUrl, masqueradeUrl: 'docker.io' };
    const hubs = mapMirrors([registryMirror('hub', { spec })], [service('hub', '10.0.0.1')]);
    t.is(
      imageswapMap(hubs, ':').text,
      'default:\ndocker.io:10.0.0.1/docker.io\ndocker.io/library:10.0.0.1/docker.io/library\n',
    );
  }
});

test('a mirror without address, or that the dialect cannot write, is left out with its reason', (t) => {
  const { text, leftOut } = imageswapMap(
    [
      mapMirror('a', { clusterIPs: [] }),
      mapMirror('b', { masquerade: 'm:5000' }),
      mapMirror('c', { clusterIPs: ['fd00::1'] }),
      mapMirror('d', { asksCertificate: true }),
    ],
    ':',
  );
  t.is(text, 'default:\n');
  t.deepEqual([...leftOut.keys()], ['a', 'b', 'c', 'd']);
});

test('a mirror whose masqueradeUrl is the word for every image has no line', (t) => {
  const { text, leftOut } = imageswapMap([mapMirror('a', { masquerade: 'default' })], '::');
  t.is(text, 'default::\n');
  t.deepEqual([...leftOut], [['a', 'imageswap takes a line for default as one for every image']]);
});

test('an IPv6 address is written without the two colons imageswap splits at', (t) => {
  t.is(mapAddress(['fd00::1']), '[fd00:0:0:0:0:0:0:1]');
  t.is(mapAddress(['::1']), '[0:0:0:0:0:0:0:1]');
  t.is(mapAddress(['fd00:1:2:3:4:5:6:7']), '[fd00:1:2:3:4:5:6:7]');
  t.is(mapAddress(['fd00::1', '10.0.0.1']), '10.0.0.1');
});

function registryMirror(name: string, fields: object = {}, metadata: object = {}) {
  return {
    apiVersion: 'k8s.osp.tech/v1',
    kind: 'RegistryMirror',
    metadata: { name, creationTimestamp: '2026-01-01T00:00:00Z', ...metadata },
    spec: { upstreamUrl: 'gcr.io' },
    ...fields,
  };
}

function service(name: string, clusterIP: string) {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: `registry-mirror-${name}` },
    spec: { clusterIP },
  };
}

test('the address comes from the Service, and from the status while the Service is missing', (t) => {
  const mirrors = [
    registryMirror('a', { spec: { upstreamUrl: 'gcr.io', masqueradeUrl: 'm' } }),
    registryMirror('b', { status: { clusterIPs: ['10.9.9.9'] } }),
  ];
  const found = mapMirrors(mirrors, [service('a', '10.1.1.1')]);
  t.deepEqual(
    found.map(({ masquerade, clusterIPs }) => [masquerade, ...clusterIPs]),
    [
      ['m', '10.1.1.1'],
      ['mirror-gcr.io', '10.9.9.9'],
    ],
  );
});

test('a mirror that is being deleted has no line, and of two with one name the older counts', (t) => {
  const mirrors = [
    registryMirror('gone', {}, { deletionTimestamp: '2026-01-02T00:00:00Z' }),
    registryMirror('younger', {}, { creationTimestamp: '2026-01-03T00:00:00Z' }),
    registryMirror('older'),
  ];
  t.deepEqual(
    mapMirrors(mirrors, []).map(({ name }) => name),
    ['older'],
  );
});

test('mirrors that were stored before the schema add no foreign line and stop nobody’s', (t) => {
  const mirrors = [
    registryMirror('upper', { spec: { upstreamUrl: 'Registry-1.docker.io', masqueradeUrl: 'docker.io' } }),
    registryMirror('lines', { spec: { upstreamUrl: 'gcr.io', masqueradeUrl: 'a\nevil:1.2.3.4/x' } }),
    registryMirror('none', { spec: {} }),
    registryMirror('fine'),
  ];
  t.deepEqual(
    mapMirrors(mirrors, []).map(({ name }) => name),
    ['fine'],
  );
});

test('a difference names the missing and the foreign lines', (t) => {
  t.is(mapDifference('a\nb\n', 'a\nb\n'), undefined);
  t.is(mapDifference('a\nb\n', 'a\nc\n'), 'missing "b", foreign "c"');
  t.is(mapDifference('a\nb\n', 'b\na\n'), 'order or repetition of lines');
  t.is(mapDifference('a\n', undefined), 'key maps is missing');
});
