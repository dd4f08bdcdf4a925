import { posix } from 'node:path';
import test from 'ava';
import fc from 'fast-check';
import {
  folderFor,
  foldersOf,
  hiddenBy,
  referenceName,
} from '../../../../src/node/containerd/host-folder.ts';
import { certificateOne, certificateTwo } from '../certificates.ts';
import { memoryHost } from './memory-host.ts';

test('a name with a port has two folders, the one with underscores first', (t) => {
  t.deepEqual(foldersOf('r.example:5000', '/c'), ['/c/r.example_5000_', '/c/r.example:5000']);
  t.deepEqual(foldersOf('docker.io', '/c'), ['/c/docker.io']);
  t.deepEqual(foldersOf('[fd00::1]:5000', '/c'), ['/c/[fd00::1]_5000_', '/c/[fd00::1]:5000']);
});

test('ours is the folder that containerd takes, else the name', (t) => {
  t.is(folderFor('r:5000', '/c', memoryHost({})), '/c/r:5000');
  t.is(folderFor('r:5000', '/c', memoryHost({ '/c/r_5000_/': '' })), '/c/r_5000_');
  t.is(folderFor('r:5000', '/c', memoryHost({ '/c/r_5000_/x': '', '/c/r:5000/x': '' })), '/c/r_5000_');
});

test('a name is a host of image references, an IPv6 address in brackets', (t) => {
  for (const name of ['docker.io', 'localhost:5000', '10.96.0.10', '[fd00::1]:443', 'a-b.example'])
    t.is(referenceName(name), name);
  t.is(referenceName('fd00::1'), '[fd00::1]');
  for (const name of [
    '',
    '.',
    '..',
    '_default',
    'a/b',
    '../etc',
    'a..b',
    'a:b',
    'a:',
    'a:123456',
    'a b',
    'a\n',
    '-a',
    '[x]',
    '[::g]',
    'a\0',
    '.example',
    'http://a',
    'a"]\n',
  ])
    t.is(referenceName(name), undefined, name);
});

test('no name leads out of its root or to _default', (t) => {
  const parts = fc.array(
    fc.constantFrom('a', '.', '/', '_', ':', '[', ']', '1', '-', '_default', '\n', '"', '..'),
    { maxLength: 8 },
  );
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        parts.map((each) => each.join('')),
      ),
      (text) => {
        const name = referenceName(text);
        for (const folder of name === undefined ? [] : foldersOf(name, '/c/d')) {
          t.is(posix.dirname(posix.normalize(folder)), '/c/d');
          t.not(posix.basename(folder), '_default');
        }
      },
    ),
    { numRuns: 2000 },
  );
});

const mine = `# registry-mirror-operator: managed; hub; sha256 ${'0'.repeat(64)}\n`;
const hosts = 'server = "user:secret@s"\n[host."https://user:secret@m"]\n';

function hidden(files: Record<string, string>, foreignFiles: 'refuse' | 'takeover' = 'refuse') {
  const { pem, findings } = hiddenBy('/c/r:1', 'r:1', ['/c', '/d'], { ...memoryHost(files), foreignFiles });
  return {
    pem,
    found: findings.map(({ reason, path }) => `${reason} ${path}`),
    messages: findings.map(({ message }) => message),
  };
}

test('hosts of _default are said, without credentials', (t) => {
  for (const path of ['/c/_default', '/d/_default']) {
    const { found, messages } = hidden({ [`${path}/hosts.toml`]: hosts, '/c/r:1/hosts.toml': mine });
    t.deepEqual(found, [`ShadowedHosts ${path}/hosts.toml`]);
    t.regex(messages[0]!, /https:\/\/m, s$/);
  }
});

test('only what containerd uses without us counts', (t) => {
  const files = { '/c/_default/hosts.toml': hosts };
  t.deepEqual(hidden({ ...files, '/c/r_1_/': '' }).found, []);
  t.deepEqual(hidden({ ...files, '/c/r:1/other.crt': certificateOne }).found, []);
  t.deepEqual(hidden({ '/c/_default/hosts.toml': mine }).found, []);
  t.deepEqual(hidden({ '/c/_default/hosts.toml': 'broken = ' }).found, []);
});

test('a folder of the host without its port is no folder of the name', (t) => {
  const files = { '/c/r/client.cert': 'x', '/c/r/client.key': 'x', '/c/_default/a.crt': certificateOne };
  const { pem, found } = hidden(files);
  t.is(pem, certificateOne);
  t.deepEqual(found, []);
});

test('a folder of the name in a later root is a foreign file: kept, or hidden by a takeover', (t) => {
  const files = { '/d/r:1/hosts.toml': hosts };
  t.deepEqual(hidden(files).found, ['ForeignFile /d/r:1/hosts.toml']);
  t.deepEqual(hidden(files, 'takeover').found, ['ShadowedHosts /d/r:1/hosts.toml']);
});

test('certificates that containerd trusts a name by are carried over, from its folder, a later root or _default', (t) => {
  for (const path of ['/c/r:1', '/c/r_1_', '/d/r:1', '/c/_default']) {
    t.is(
      hidden({ [`${path}/a.crt`]: certificateOne, [`${path}/b.crt`]: certificateTwo }).pem,
      certificateOne + certificateTwo,
    );
    t.is(hidden({ [`${path}/ca.crt`]: mine + certificateOne }).pem, undefined);
  }
});

test('a client certificate and a certificate that cannot be read keep the name as it is', (t) => {
  t.deepEqual(hidden({ '/c/r:1/client.cert': 'x', '/c/r:1/client.key': 'x' }).found, [
    'ClientCertificate /c/r:1/client.cert',
  ]);
  t.deepEqual(hidden({ '/d/r:1/ca.crt': 'garbage' }).found, ['UnusableAuthority /d/r:1/ca.crt']);
});
