import test from 'ava';
import type { NodeMirror } from '../../../src/api/node-mirror.ts';
import { parseMirrorsFile } from '../../../src/config/mirrors-file.ts';

const client = { certFile: '/t/tls.crt', keyFile: '/t/tls.key' };

const whole: NodeMirror = {
  name: 'hub',
  names: [
    { name: 'docker.io', upstream: true },
    { name: '[fd00::10]', upstream: false },
    { name: 'r.example:5000', upstream: false },
  ],
  addresses: ['10.96.0.10', 'fd00::10'],
  fallbackPort: 444,
  port: 29_001,
  endpoint: 'loopback',
  serverName: 'registry-mirror-hub.default.svc',
  runtimes: ['auto'],
  hostsNames: ['mirror-docker.io', 'mirror-r.example:5000'],
  certificateNames: ['mirror-docker.io', '10.96.0.10', 'fd00::10', '[fd00::10]:443'],
  clientCertificate: false,
  containerd: 'report',
  foreignFiles: 'refuse',
  foreignHostsLines: 'override',
};

function parsed(changes: object): string {
  const list = {
    mirrors: [
      { ...whole, bundle: '0123456789abcdef.pem', ...changes },
      { ...whole, bundle: '0123456789abcdef.pem', name: 'other' },
    ],
  };
  const { mirrors, refused, others } = parseMirrorsFile(JSON.stringify(list), '/t/mirrors.json', client);
  if (mirrors.length === 2) return 'taken';
  return JSON.stringify([mirrors.map(({ name }) => name), refused, others]);
}

/** The other one is wired all the same. */
function refusal(field: string): string {
  const fault = `mirrors[0].${field}: expected another value`;
  return JSON.stringify([['other'], [{ name: 'hub', fault }], ['hub']]);
}

test('The authorities of a mirror are a file beside the list, and no other file', (t) => {
  const list = { mirrors: [{ ...whole, bundle: '0123456789abcdef.pem' }] };
  const { mirrors } = parseMirrorsFile(JSON.stringify(list), '/t/mirrors.json', client);
  t.is(mirrors[0]?.caFile, '/t/0123456789abcdef.pem');
  for (const bundle of ['../ca.pem', 'tls.key', '', undefined]) t.is(parsed({ bundle }), refusal('bundle'));
});

test('A list is taken as the operator writes it', (t) => {
  t.is(parsed({}), 'taken');
});

test('The scheme of a name is one that a runtime can dial; a list of an earlier operator has none', (t) => {
  const named = (scheme: unknown) => parsed({ names: [{ name: 'reg.local', upstream: true, scheme }] });
  for (const scheme of [undefined, 'https', 'http']) t.is(named(scheme), 'taken');
  for (const scheme of ['ftp', 'http://evil.example/?', true, null]) t.is(named(scheme), refusal('names'));
});

test('What is no name or address becomes no path and no line of a file, as with the variables of an agent of one mirror', (t) => {
  const evil = ['../../x', '..', 'a/b', 'a\n10.0.0.1 docker.io', 'a b', 'a#b', ''];
  for (const name of evil) {
    for (const field of ['hostsNames', 'certificateNames', 'addresses'])
      t.is(parsed({ [field]: [name] }), refusal(field), JSON.stringify(name));
    t.regex(parsed({ names: [{ name, upstream: true }] }), /"mirrors\[0\]\.names:/, JSON.stringify(name));
    t.regex(parsed({ serverName: name }), /serverName/, JSON.stringify(name));
  }
  t.regex(parsed({ addresses: ['host.example'] }), /addresses/);
});
