import test from 'ava';
import fc from 'fast-check';
import { credentialNames, parseCredentials } from '../../../src/registry/credentials.ts';
import { basicHeader } from '../../../src/registry/token.ts';

const names = ['registry.example', 'registry-1.docker.io', 'docker.io', 'index.docker.io'];
const basic = { kind: 'basic', username: 'user', password: 'pa:ss' };
const auth = Buffer.from('user:pa:ss').toString('base64');

function dockerConfig(auths: object): { '.dockerconfigjson': string } {
  return { '.dockerconfigjson': JSON.stringify({ auths }) };
}

test('username and password lose one newline at their end and nothing else', (t) => {
  t.deepEqual(parseCredentials({ username: 'user\n', password: ' p w \r\n' }, names), {
    kind: 'basic',
    username: 'user',
    password: ' p w ',
  });
});

for (const [what, auths] of Object.entries({
  auth: { 'registry.example': { auth } },
  'username and password': { 'registry.example': { username: 'user', password: 'pa:ss' } },
  'a URL as key': { 'https://registry.example/v2/': { auth } },
  'Docker Hub’s traditional key': { 'https://index.docker.io/v1/': { auth } },
  'the default port': { 'registry.example:443': { auth } },
  'another entry before it': { 'other.example': { auth: 'eDp5' }, 'registry.example': { auth } },
})) {
  test(`a docker configuration with ${what} is read`, (t) => {
    t.deepEqual(parseCredentials(dockerConfig(auths), names), basic as never);
  });
}

const deep = credentialNames({
  host: 'hub.harbor.example',
  pathPrefix: 'a/b',
  names: ['hub.harbor.example'],
});

for (const [what, best, others] of [
  [
    'a longer path wins over a shorter one',
    'hub.harbor.example/a/b',
    ['hub.harbor.example', 'hub.harbor.example/a'],
  ],
  [
    'a parent path wins over the host',
    'https://hub.harbor.example/v2/a/',
    ['hub.harbor.example', '*.harbor.example'],
  ],
  [
    'the host stands for all below it',
    'hub.harbor.example',
    ['hub.harbor.example/c', 'hub.harbor.example/a/bc', 'harbor.example'],
  ],
  [
    'a name wins over a pattern',
    'hub.harbor.example',
    ['*.harbor.example/a', '*.*.example', 'h*.harbor.example'],
  ],
  ['a pattern stands for one label', '*.harbor.example', ['*.example', '*', '*.*.harbor.example', '*:5000']],
  [
    'a pattern may stand for a part of a label',
    'h*b.*.example/a',
    ['hu*ub.harbor.example', 'x*.harbor.example'],
  ],
] as const) {
  test(`in a docker configuration ${what}, in whichever order they stand`, (t) => {
    const other = others.map((name) => [name, { auth: 'eDp5' }]);
    for (const entries of [
      [...other, [best, { auth }]],
      [[best, { auth }], ...other],
    ]) {
      t.deepEqual(parseCredentials(dockerConfig(Object.fromEntries(entries)), deep), basic as never);
    }
  });
}

test('a pattern never matches another port', (t) => {
  const names = credentialNames({ host: 'a.example:5000', pathPrefix: '', names: ['a.example:5000'] });
  t.throws(() => parseCredentials(dockerConfig({ '*.example': { auth }, 'a.*': { auth } }), names));
  t.deepEqual(parseCredentials(dockerConfig({ '*.example:5000': { auth } }), names), basic as never);
});

test('a missing entry is told with every name it could have, once', (t) => {
  const message = (names: readonly string[]) =>
    t.throws(() => parseCredentials(dockerConfig({}), names)).message;
  t.is(
    message(deep),
    '.dockerconfigjson: expected an entry for hub.harbor.example/a/b or hub.harbor.example, got none',
  );
  const one = credentialNames({ host: 'a.example', pathPrefix: '', names: ['a.example'] });
  t.is(message(one), '.dockerconfigjson: expected an entry for a.example, got none');
});

test('an identity token is a refresh token, a registry token and a token alone are sent as they are', (t) => {
  const of = (entry: object) => parseCredentials(dockerConfig({ 'registry.example': entry }), names);
  t.deepEqual(of({ auth, identitytoken: 'abc' }), { kind: 'identity', token: 'abc', username: 'user' });
  t.deepEqual(of({ registrytoken: 'abc' }), { kind: 'bearer', token: 'abc' });
  t.deepEqual(parseCredentials({ token: 'abc\n' }, names), { kind: 'bearer', token: 'abc' });
});

test('a password of several lines is Google’s key file, whichever way it is given', (t) => {
  const password = JSON.stringify({ type: 'service_account', private_key: '-----BEGIN\nx' }, undefined, '\t');
  const expected = { kind: 'basic', username: '_json_key', password } as const;
  const given = { username: '_json_key', password };
  t.deepEqual(parseCredentials({ username: '_json_key', password: `${password}\n` }, names), expected);
  t.deepEqual(parseCredentials(dockerConfig({ 'registry.example': given }), names), expected);
  const inAuth = Buffer.from(`_json_key:${password}`).toString('base64');
  t.deepEqual(parseCredentials(dockerConfig({ 'registry.example': { auth: inAuth } }), names), expected);
  t.is(Buffer.from(basicHeader(expected).slice(6), 'base64').toString(), `_json_key:${password}`);
});

test('no files are no credentials', (t) => {
  t.is(parseCredentials({}, names), undefined);
});

for (const [what, files] of Object.entries({
  'only a username': { username: 'hunter2' },
  'only a password': { password: 'hunter2' },
  'an empty password': { username: 'u', password: '\n' },
  'a colon in the username': { username: 'hunter2:x', password: 'hunter2' },
  'a control character in the password': { username: 'u', password: 'hunter2\u0007x' },
  'a line break in the username': { username: 'hunter2\nx', password: 'hunter2' },
  'a token with spaces': { token: 'hunter2 hunter2' },
  'no JSON': { '.dockerconfigjson': '{"hunter2' },
  'no entry for the upstream': dockerConfig({ 'other.example': { auth: 'hunter2' } }),
  'an entry that says nothing': dockerConfig({ 'registry.example': { email: 'hunter2' } }),
  'auth without a colon': dockerConfig({ 'registry.example': { auth: 'hunter2=' } }),
})) {
  test(`${what} is refused without being shown`, (t) => {
    const error = t.throws(() => parseCredentials(files, names), { instanceOf: TypeError });
    t.false(error.message.includes('hunter2'));
    t.is(error.cause, undefined);
  });
}

test('no content of files leads to anything but credentials or a TypeError that does not quote it', (t) => {
  const secret = fc.string({ minLength: 12, maxLength: 40 });
  fc.assert(
    fc.property(
      secret,
      fc.constantFrom('username', 'password', 'token', '.dockerconfigjson'),
      (text, file) => {
        try {
          parseCredentials({ username: 'u', [file]: text }, names);
        } catch (error) {
          t.true(error instanceof TypeError);
          t.false((error as Error).message.includes(text));
        }
      },
    ),
  );
});
