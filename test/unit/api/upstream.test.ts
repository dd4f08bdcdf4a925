import test from 'ava';
import {
  defaultMasquerade,
  masqueradeUrlPattern,
  parseUpstream,
  upstreamUrlPattern,
} from '../../../src/api/upstream.ts';

for (const name of [
  'docker.io',
  'index.docker.io',
  'registry-1.docker.io',
  'hub.docker.io',
  'https://docker.io/',
  'https://index.docker.io/v1/',
  'registry-1.docker.io/v2',
  'http://docker.io:443/v1',
  'registry.hub.docker.com',
]) {
  test(`${name} means Docker Hub's registry`, (t) => {
    const upstream = parseUpstream(name);
    t.is(upstream.host, 'registry-1.docker.io');
    t.true(upstream.dockerHub);
    t.is(upstream.pathPrefix, '');
    t.deepEqual(upstream.names, ['docker.io', 'registry-1.docker.io', 'index.docker.io']);
  });
}

test('a scheme, a port and a path prefix are understood', (t) => {
  t.like(parseUpstream('http://harbor.example:8080/a/b'), {
    scheme: 'http',
    host: 'harbor.example:8080',
    pathPrefix: 'a/b',
  });
  t.like(parseUpstream('gcr.io'), { scheme: 'https', host: 'gcr.io', pathPrefix: '', dockerHub: false });
  t.deepEqual(parseUpstream('[fd00::1]:5000').names, ['[fd00::1]:5000']);
});

test('the port of the scheme is no part of the name, which is known with it too where it is given', (t) => {
  t.deepEqual(parseUpstream('quay.io:443').names, ['quay.io', 'quay.io:443']);
  t.deepEqual(parseUpstream('http://reg.local:80').names, ['reg.local', 'reg.local:80']);
  for (const other of ['quay.io:80', 'quay.io:5443', '[fd00::443]'])
    t.deepEqual(parseUpstream(other).names, [other]);
  t.deepEqual(parseUpstream('http://reg.local:443').names, ['reg.local:443']);
});

test('the default masquerade is the original operator’s', (t) => {
  t.is(defaultMasquerade('hub.docker.io'), 'mirror-hub.docker.io');
  t.is(defaultMasquerade('https://harbor.example:8443/proxy'), 'mirror-harbor.example:8443');
});

for (const hostile of [
  'a b',
  'a;b',
  'a\nb',
  'a{b',
  '$host',
  'a/../b',
  'a//b',
  'HOST',
  '-a',
  'a-',
  'a:0',
  'ftp://a',
  "a'b",
  'a"b',
  'a\\b',
  'user@a',
  'a?x=1',
  'a#b',
]) {
  test(`${JSON.stringify(hostile)} passes neither pattern`, (t) => {
    t.notRegex(hostile, new RegExp(upstreamUrlPattern));
    t.notRegex(hostile, new RegExp(masqueradeUrlPattern));
  });
}
