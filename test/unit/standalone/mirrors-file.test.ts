import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import fc from 'fast-check';
import { ConfigError } from '../../../src/config/problems.ts';
import { credentialNames, parseCredentials } from '../../../src/registry/credentials.ts';
import {
  type CheckCredentials,
  type MirrorsFile,
  parseMirrorsFile as parseWith,
} from '../../../src/standalone/mirrors-file.ts';

const examples = join(import.meta.dirname, '../../../examples');

for (const file of readdirSync(examples).filter((name) => name.endsWith('.yaml'))) {
  test(`examples/${file} is without fault`, (t) => {
    t.true(parseMirrorsFile(readFileSync(join(examples, file), 'utf8'), file).mirrors.length > 0);
  });
}

test('a mirror gets the credentials of the Secret it names, stringData before data', (t) => {
  const file = parseMirrorsFile(
    `${secret('pull', 'stringData: {username: me, password: "1"}\ndata: {username: eW91, extra: eA==}')}---
${mirror('a', 'credentialsSecret: pull')}---
${mirror('b')}`,
    'm.yaml',
  );
  t.deepEqual([...file.credentials], [['a', [{ prefix: '', files: { username: 'me', password: '1' } }]]]);
  t.deepEqual(
    file.mirrors.map(({ metadata }) => metadata.name),
    ['a', 'b'],
  );
});

test('a Secret may hold a docker configuration or a token', (t) => {
  for (const [key, value] of [
    ['.dockerconfigjson', '{"auths":{"a.example":{"auth":"dTpw"}}}'],
    ['token', 'abc'],
  ] as const) {
    const text = `${secret('pull', `stringData: {${key}: '${value}'}`)}---\n${mirror('a', 'credentialsSecret: pull')}`;
    t.deepEqual(parseMirrorsFile(text, 'm').credentials.get('a'), [{ prefix: '', files: { [key]: value } }]);
  }
});

test('empty fields are as if they were not there, and no Secret is looked for', (t) => {
  for (const none of ['credentialsSecret: ""', 'credentialsSecret: ~\n  masqueradeUrl:']) {
    const { mirrors, credentials } = parseMirrorsFile(mirror('a', none), 'm');
    t.deepEqual(mirrors, parseMirrorsFile(mirror('a'), 'm').mirrors);
    t.is(credentials.size, 0);
  }
});

test('of a docker configuration the entry counts that the broker takes: the one closest to the prefix', (t) => {
  const configured = (path: string, auth: string) => {
    const auths = { [path]: { auth: Buffer.from(auth).toString('base64') } };
    const data = JSON.stringify({ '.dockerconfigjson': JSON.stringify({ auths }) });
    const spec = 'credentials: [{secret: pull, prefix: team}]';
    return faultsOf(`${secret('pull', `stringData: ${data}`)}---\n${mirror('a', spec)}`);
  };
  const host = 'a.example';
  t.deepEqual(configured(`${host}/team`, 'me:p'), []);
  t.deepEqual(configured(host, 'me:p'), []);
  t.is(configured(`${host}/other`, 'me:p').length, 1);
});

test('a mirror may have a Secret for each prefix; each that is no credential is told at its line', (t) => {
  const list = 'credentials: [{secret: all}, {prefix: team/a, secret: team}]';
  const all = secret('all', 'stringData: {token: x}');
  const text = `${all}---\n${secret('team', 'stringData: {username: me, password: p}')}---\n${mirror('a', list)}`;
  t.deepEqual(parseMirrorsFile(text, 'm').credentials.get('a'), [
    { prefix: '', files: { token: 'x' } },
    { prefix: 'team/a', files: { username: 'me', password: 'p' } },
  ]);
  const { problems } = t.throws<ConfigError>(() => parseMirrorsFile(`${all}---\n${mirror('a', list)}`, 'm'), {
    instanceOf: ConfigError,
  })!;
  t.is(problems.length, 1);
  t.regex(
    problems[0] ?? '',
    /^m:\d+: spec\.credentials\[1\]\.secret: expected a Secret of this file \(Secret "team"\)$/,
  );
});

test('every fault is told with its line and field, in the order of the file', (t) => {
  const text = `apiVersion: k8s.osp.tech/v1
kind: RegistryMirror
metadata:
  name: a
spec:
  upstreamUrl: "gcr.io; evil"
  replicas: many
  nonsense: 1
---
apiVersion: v1
kind: ConfigMap
---
apiVersion: v1
kind: Secret
metadata: {name: s}
data:
  username: "not base64!"
stringData:
  password: 12345
---
apiVersion: k8s.osp.tech/v1
kind: RegistryMirror
metadata:
  name: b
spec:
  credentialsSecret: gone
  upstreamUrl: quay.io
---
apiVersion: k8s.osp.tech/v1
kind: RegistryMirror
metadata:
  name: b
spec:
  upstreamUrl: quay.io
`;
  const faults = faultsOf(text);
  t.deepEqual(
    faults.map((fault) => /^m\.yaml:(\d+): ([^:]*):/.exec(fault)?.slice(1, 3).join(' ')),
    [
      '6 spec.upstreamUrl',
      '7 spec.replicas',
      '8 spec.nonsense',
      '11 kind',
      '17 data.username',
      '19 stringData.password',
      '26 spec.credentialsSecret',
      '32 metadata.name',
      '33 spec.masqueradeUrl',
    ],
  );
  t.false(faults.join().includes('not base64!'));
  t.false(faults.join().includes('12345'));
});

test('a mirror with a fault of its own has its others told as well', (t) => {
  const bad = 'credentialsSecret: gone\n  cache: {tagTTL: soon}';
  const text = `${mirror('a', bad)}---\n${mirror('a', 'credentialsSecret: 7')}---\n${mirror('b.c', 'credentialsSecret: gone')}`;
  t.deepEqual(
    faultsOf(text).map((fault) => /^m\.yaml:(\d+): ([^:]*):/.exec(fault)?.slice(1, 3).join(' ')),
    [
      '6 spec.credentialsSecret',
      '7 spec.cache.tagTTL',
      '11 metadata.name',
      '12 spec.masqueradeUrl',
      '14 spec.credentialsSecret',
      '18 metadata.name',
      '21 spec.credentialsSecret',
    ],
  );
});

test('a Secret without the keys that make a credential is a fault', (t) => {
  const text = `${secret('pull', 'stringData: {username: me}')}---\n${mirror('a', 'credentialsSecret: pull')}`;
  t.deepEqual(faultsOf(text), [
    'm.yaml:11: spec.credentialsSecret: expected a Secret with the keys username and password, .dockerconfigjson, or token (Secret "pull")',
  ]);
});

test('a file without a mirror, an empty one and one that is no YAML are faults', (t) => {
  t.deepEqual(faultsOf(''), ['m.yaml:1: expected at least one RegistryMirror']);
  t.deepEqual(faultsOf(secret('s', 'data: {}')), ['m.yaml:1: expected at least one RegistryMirror']);
  t.is(faultsOf('a: 1\nb: [')[0]?.slice(0, 9), 'm.yaml:2:');
  t.regex(faultsOf('just text')[0] ?? '', /^m\.yaml:1: kind: expected/);
});

test('no text makes it fail in another way than by naming faults', (t) => {
  const words = fc.constantFrom(
    'kind',
    'Secret',
    'RegistryMirror',
    'metadata',
    'name',
    'spec',
    'data',
    'a',
    '1',
    'null',
  );
  const glue = fc.constantFrom(': ', '\n', '\n  ', '- ', '{', '}', '[', ']', '&x ', '*x', '---\n', '"', ', ');
  fc.assert(
    fc.property(fc.array(fc.oneof(words, glue), { maxLength: 30 }), (parts) => {
      try {
        parseMirrorsFile(parts.join(''), 'm');
      } catch (error) {
        t.true(error instanceof ConfigError, parts.join(''));
      }
    }),
    { numRuns: 500 },
  );
});

test('a Secret whose content is of no use to the upstream is a fault that does not show it', (t) => {
  for (const [content, why] of [
    [
      { '.dockerconfigjson': '{"auths":{"other.example":{"auth":"aHVudGVyMg=="}}}' },
      '.dockerconfigjson: expected an entry for a.example, got none',
    ],
    [{ '.dockerconfigjson': '{"hunter2' }, '.dockerconfigjson: expected JSON'],
    [
      { username: 'hunter2:x', password: 'hunter2' },
      'username: expected text without colons and control characters',
    ],
  ] as const) {
    const text = `${secret('pull', `stringData: ${JSON.stringify(content)}`)}---\n${mirror('a', 'credentialsSecret: pull')}`;
    t.deepEqual(faultsOf(text), [`m.yaml:11: spec.credentialsSecret: ${why} (Secret "pull")`]);
  }
});

function parseMirrorsFile(text: string, name: string): MirrorsFile {
  const check: CheckCredentials = (files, upstream, prefix) => {
    parseCredentials(files, credentialNames(upstream, prefix));
  };
  return parseWith(text, name, check);
}

function faultsOf(text: string): readonly string[] {
  try {
    parseMirrorsFile(text, 'm.yaml');
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}

function mirror(name: string, more = ''): string {
  return `apiVersion: k8s.osp.tech/v1
kind: RegistryMirror
metadata: {name: ${name}}
spec:
  upstreamUrl: ${name}.example
  ${more}
`;
}

function secret(name: string, more: string): string {
  return `apiVersion: v1\nkind: Secret\nmetadata: {name: ${name}}\n${more}\n`;
}
