import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import test from 'ava';
import fc from 'fast-check';
import {
  type ForwardedMirror,
  type ForwarderConfig,
  forwarderConf,
  forwarderPaths,
  forwarderView,
  parseAddress,
} from '../../../src/node/forwarder/config.ts';
import { parseBuild } from '../../../src/node/forwarder/stream-module.ts';
import { templatePaths, viewPaths } from '../../support/template-paths.ts';

const docker: ForwardedMirror = {
  name: 'docker-hub',
  port: 31001,
  addresses: ['10.96.0.7:443', '[fd00::7]:443'],
  serverName: 'registry-mirror-docker-hub.mirrors.svc',
  caFile: '/run/tls/ca.crt',
  clientCertificate: { certFile: '/run/tls/client.crt', keyFile: '/run/tls/client.key' },
};
const quay: ForwardedMirror = {
  name: 'quay.io',
  port: 31002,
  addresses: ['10.96.0.8:443'],
  serverName: 'quay.mirror.example',
  caFile: '/run/tls with space/ca.crt',
};

test('the configuration of two mirrors is the one kept beside this test', (t) => {
  const { text } = forwarderConf(configOf([docker, quay, { ...quay, name: 'dead', port: 31003 }]));
  const path = join(import.meta.dirname, 'golden/forwarder.conf');
  if (process.env['UPDATE_GOLDEN'] === '1') {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
  }
  t.is(text, readFileSync(path, 'utf8'));
});

test('the template uses every value of its view and no other', (t) => {
  t.deepEqual(templatePaths('forwarder.conf'), viewPaths(forwarderView(configOf([docker, quay]))).toSorted());
});

test('a mirror that is not listening leaves nothing in the configuration', (t) => {
  t.notRegex(forwarderConf({ ...configOf([docker, quay]), listening: ['quay.io'] }).text, /docker-hub|31001/);
});

test('without IPv6 nothing listens on ::1, and what is built in or runs as nobody else is not said', (t) => {
  const { text } = forwarderConf({ ...configOf([docker]), ipv6: false, module: null, user: null });
  t.notRegex(text, /\[::1\]|load_module|^user/m);
});

test('other content of the files is another generation, the same configuration the same', (t) => {
  const generation = (filesHold: string) => forwarderConf({ ...configOf([docker]), filesHold }).generation;
  t.is(generation('a'), generation('a'));
  t.not(generation('a'), generation('b'));
});

for (const [what, change] of Object.entries<Partial<ForwardedMirror>>({
  'a name with a directive': { name: 'a; error_log /etc/passwd' },
  'a name with a variable': { name: '$host' },
  'a port out of range': { port: 65536 },
  'a port that is no number': { port: Number.NaN },
  'no address': { addresses: [] },
  'a host name for an address': { addresses: ['mirror.example:443'] },
  'an address without a port': { addresses: ['10.0.0.1'] },
  'an address with a directive': { addresses: ['10.0.0.1:443 down; }'] },
  'a socket for an address': { addresses: ['unix:/run/docker.sock'] },
  'an IPv6 address without brackets': { addresses: ['fd00::7:443'] },
  'a server name that is an address': { serverName: '10.0.0.1' },
  'a server name with a variable': { serverName: '$ssl_preread_server_name' },
  'a server name with a wildcard': { serverName: '*.example' },
  'a path that ends its quotes': { caFile: '/ca"; include "/etc/passwd' },
  'a path with a variable': { caFile: '/$host' },
  'a certificate whose path breaks the line': { clientCertificate: { certFile: '/a\nb', keyFile: '/k' } },
})) {
  test(`${what} is refused`, (t) => {
    t.throws(() => forwarderConf(configOf([{ ...docker, ...change }])), { instanceOf: TypeError });
  });
}

test('whatever a mirror says, it is refused or adds no directive', (t) => {
  const directives = (text: string) => text.replaceAll(/"[^"\n]*"/g, '""').match(/[;{}]/g)?.length;
  const usual = directives(forwarderConf(configOf([docker])).text);
  const field = fc.constantFrom('name', 'serverName', 'caFile');
  fc.assert(
    fc.property(field, fc.string({ unit: 'binary' }), (key, value) => {
      try {
        return directives(forwarderConf(configOf([{ ...docker, [key]: value }])).text) === usual;
      } catch (error) {
        return error instanceof TypeError;
      }
    }),
  );
  t.pass();
});

test('an address is split into host and port', (t) => {
  t.deepEqual(parseAddress('10.96.0.7:443'), { host: '10.96.0.7', port: 443 });
  t.deepEqual(parseAddress('[fd00::7]:5000'), { host: 'fd00::7', port: 5000 });
});

test('the module is loaded where nginx has it as a file, and from where its build says', (t) => {
  t.is(
    parseBuild('configure arguments: --modules-path=/usr/lib/nginx/modules --with-stream=dynamic'),
    '/usr/lib/nginx/modules/ngx_stream_module.so',
  );
  t.is(parseBuild('--prefix=/opt/nginx --with-stream=dynamic'), '/opt/nginx/modules/ngx_stream_module.so');
  t.is(parseBuild('configure arguments: --with-stream --with-stream_ssl_module'), null);
  t.throws(() => parseBuild('configure arguments: --with-stream_ssl_module'));
});

function configOf(mirrors: readonly ForwardedMirror[]): ForwarderConfig {
  return {
    mirrors,
    listening: mirrors.map(({ name }) => name).filter((name) => name !== 'dead'),
    filesHold: '',
    paths: forwarderPaths('/run/forwarder'),
    module: '/usr/lib/nginx/modules/ngx_stream_module.so',
    user: 'root',
    ipv6: true,
  };
}
