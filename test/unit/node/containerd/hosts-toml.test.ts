import test from 'ava';
import fc from 'fast-check';
import { parse } from 'smol-toml';
import {
  formatHostsToml,
  hostsIn,
  serverOf,
  servesMirror,
} from '../../../../src/node/containerd/hosts-toml.ts';

test('a mirror on loopback stands before the upstream', (t) => {
  t.is(
    formatHostsToml({ endpoint: 'http://127.0.0.1:30001', server: 'https://registry-1.docker.io' }),
    `server = "https://registry-1.docker.io"
[host."http://127.0.0.1:30001"]
  capabilities = ["pull", "resolve"]
  dial_timeout = "2s"
`,
  );
});

test('a mirror behind TLS has its CA beside the file; the upstream’s own stays the server’s', (t) => {
  t.is(
    formatHostsToml({
      endpoint: 'https://10.96.0.10',
      ca: 'ca.crt',
      server: 'https://r.example',
      serverCa: 'upstream.crt',
    }),
    `server = "https://r.example"
ca = "upstream.crt"
[host."https://10.96.0.10"]
  capabilities = ["pull", "resolve"]
  ca = "ca.crt"
  dial_timeout = "2s"
`,
  );
});

test('for an alias nothing but the mirror is asked, whoever has its name in DNS', (t) => {
  t.is(
    formatHostsToml({ endpoint: 'https://10.96.0.10', ca: 'ca.crt', only: true }),
    `server = "https://10.96.0.10"
capabilities = ["pull", "resolve"]
ca = "ca.crt"
dial_timeout = "2s"
[host."https://10.96.0.10"]
  capabilities = ["pull", "resolve"]
  ca = "ca.crt"
  dial_timeout = "2s"
`,
  );
});

test('any text comes out of a TOML parser as it went in, and nothing beside it', (t) => {
  const texts = fc.string({ unit: 'binary' }).filter((text) => text.isWellFormed() && text !== '__proto__');
  fc.assert(
    fc.property(texts, texts, texts, (endpoint, ca, server) => {
      const host = { capabilities: ['pull', 'resolve'], ca, dial_timeout: '2s' };
      t.deepEqual(JSON.parse(JSON.stringify(parse(formatHostsToml({ endpoint, ca, server })))), {
        server,
        host: { [endpoint]: host },
      });
    }),
    { numRuns: 500 },
  );
});

test('the dialled host of a name', (t) => {
  t.is(serverOf('docker.io'), 'https://registry-1.docker.io');
  t.is(serverOf('ghcr.io'), 'https://ghcr.io');
  t.is(serverOf('[fd00::1]:5000'), 'https://[fd00::1]:5000');
  for (const name of ['localhost:5000', '127.0.0.1:5000', '[::1]:5000', '127.1.2.3'])
    t.is(serverOf(name), undefined);
});

test('an upstream that speaks plain HTTP is dialled so, also on this machine', (t) => {
  for (const name of ['reg.local:5000', 'reg.local', 'localhost:5000'])
    t.is(serverOf(name, 'http'), `http://${name}`);
});

test('what a file sends pulls to is told in order; a file that containerd ignores sends them nowhere', (t) => {
  const hosts = (text: string) => hostsIn(Buffer.from(text));
  t.deepEqual(hosts('server = "https://s"\n[host."https://b"]\n[host."https://a"]\n'), [
    'https://b',
    'https://a',
    'https://s',
  ]);
  for (const text of [
    '',
    'server = ',
    '[host."https://a"]\n[host."https://a"]\n',
    '[host."https://a"]\ncapabilities = ["referrers"]\n',
    'host = 1',
    'host = { a = 1 }',
    '[host.a]\ncapabilities = "pull"',
  ])
    t.is(hosts(text), undefined, text);
});

test('somebody else’s file serves if the mirror is the first host and is trusted', (t) => {
  const serves = (text: string, endpoint = 'http://127.0.0.1:1') => servesMirror(Buffer.from(text), endpoint);
  t.true(serves('[host."http://127.0.0.1:1"]\n'));
  t.true(serves('[host."http://127.0.0.1:1"]\ncapabilities = ["resolve", "pull", "push"]\n'));
  t.false(serves('[host."http://127.0.0.1:1"]\ncapabilities = ["pull"]\n'));
  t.false(serves('[host."http://other"]\n[host."http://127.0.0.1:1"]\n'));
  t.false(serves('[host."https://s"]\n', 'https://s'));
  t.true(serves('[host."https://s"]\nca = "x"\n', 'https://s'));
  t.false(serves('server = "http://127.0.0.1:1"'));
});
