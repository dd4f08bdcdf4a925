import test from 'ava';
import { mayShowCredentials, parseRealm } from '../../../src/registry/realm.ts';

for (const [upstream, realm, shown] of [
  ['https://registry-1.docker.io', 'https://auth.docker.io/token', true],
  ['https://ghcr.io', 'https://ghcr.io/token', true],
  ['https://registry.gitlab.com', 'https://gitlab.com/jwt/auth', true],
  ['https://r.example', 'https://auth.r.example/token', true],
  ['https://r.example:5000', 'https://r.example:5001/token', true],
  ['https://10.0.0.1:5000', 'https://10.0.0.1:5001/token', true],
  ['https://[fd00::1]', 'https://[fd00::1]:5001/token', true],
  ['https://10.0.0.1', 'https://1.10.0.0.1.example/token', false],
  ['https://r.example', 'http://r.example/token', false],
  ['http://r.example', 'http://r.example/token', false],
  ['http://r.example', 'https://r.example/token', false],
  ['https://r.example', 'https://evilr.example/token', false],
  ['https://r.example', 'https://r.example.evil.test/token', false],
  ['https://a.r.example', 'https://b.r.example/token', false],
  ['https://r.example', 'https://example/token', false],
  ['https://quay.io', 'https://auth.docker.io/token', false],
] as const) {
  test(`${realm} ${shown ? 'may' : 'may not'} be shown the credentials for ${upstream}`, (t) => {
    t.is(mayShowCredentials(new URL(realm), new URL(upstream)), shown);
  });
}

test('a host that the administrator names may be shown the credentials', (t) => {
  t.true(
    mayShowCredentials(new URL('https://sso.corp.test/t'), new URL('https://r.example'), ['sso.corp.test']),
  );
  t.false(
    mayShowCredentials(new URL('http://sso.corp.test/t'), new URL('https://r.example'), ['sso.corp.test']),
  );
});

test('a realm is an absolute https URL without user info; http only for an upstream of http', (t) => {
  const https = new URL('https://r.example');
  t.is(parseRealm('https://r.example/token', https)?.href, 'https://r.example/token');
  for (const realm of [
    undefined,
    '',
    '/token',
    'http://r.example/',
    'file:///etc/passwd',
    'https://a:b@r.example/',
  ]) {
    t.is(parseRealm(realm, https), undefined);
  }
  t.is(parseRealm('http://r.example/token', new URL('http://r.example'))?.protocol, 'http:');
});
