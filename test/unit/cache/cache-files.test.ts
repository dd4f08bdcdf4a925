import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import fc from 'fast-check';
import type { RegistryMirror } from '../../../src/api/registry-mirror.ts';
import { masqueradeUrlPattern, upstreamUrlPattern } from '../../../src/api/upstream.ts';
import { parseBrokerConfig } from '../../../src/cache/broker/broker-config.ts';
import type { CacheConfig } from '../../../src/cache/cache-config.ts';
import { type CacheFileName, cacheFiles } from '../../../src/cache/cache-files.ts';
import { cacheMirrorOf } from '../../../src/cache/cache-mirror.ts';
import { defaultView, nginxView } from '../../../src/cache/nginx-view.ts';
import { cacheConfig, cacheMirror, goldenConfigs } from '../../support/cache-config.ts';
import { templatePaths, viewPaths } from '../../support/template-paths.ts';

const golden = join(import.meta.dirname, 'golden');

for (const [name, config] of Object.entries(goldenConfigs)) {
  for (const [file, text] of Object.entries(cacheFiles(config)) as [CacheFileName, string][]) {
    test(`${file} of the ${name} configuration is the one kept beside this test`, (t) => {
      const path = join(golden, name, file);
      // UPDATE_GOLDEN=1 writes them; test/integration/nginx-configuration.test.ts feeds them to nginx.
      if (process.env['UPDATE_GOLDEN'] === '1') {
        mkdirSync(join(golden, name), { recursive: true });
        writeFileSync(path, text);
      }
      t.is(text, readFileSync(path, 'utf8'));
    });
  }
}

test('each template uses every value of its view and no other', (t) => {
  const configs = Object.values(goldenConfigs);
  const given = (view: (config: CacheConfig) => object) =>
    [...new Set(configs.flatMap((config) => viewPaths(view(config))))].toSorted();
  t.deepEqual(templatePaths('nginx.conf'), given(nginxView));
  t.deepEqual(templatePaths('default.conf'), given(defaultView));
});

test('the broker reads its file', (t) => {
  const broker = parseBrokerConfig(cacheFiles(goldenConfigs['pod']!)['broker.json']);
  t.is(broker.sockets[0], '/run/broker.sock');
  t.is(broker.sliceBytes, 8 * 1024 * 1024);
  t.deepEqual(broker.mirrors[0]?.credentials, [{ prefix: '', dir: '/credentials' }]);
});

test('the same configuration gives the same files, another one another generation', (t) => {
  const config = goldenConfigs['pod']!;
  t.deepEqual(cacheFiles(config), cacheFiles(structuredClone(config)));
  const generation = (maxSizeMiB: number) =>
    defaultView(cacheConfig([cacheMirror('a', 'a.example', { maxSizeMiB })])).generation;
  t.not(generation(100), generation(101));
});

test('nothing the schema lets through adds a directive, a block or a variable to nginx.conf', (t) => {
  const configOf = (mirror: RegistryMirror) => {
    const place = { cacheDir: '/data', extraNames: [], credentials: [], caFiles: [] };
    return cacheConfig([{ ...cacheMirrorOf(mirror, place), name: 'a' }]);
  };
  const mirror = (spec: object) => ({ metadata: { name: 'a' }, spec }) as unknown as RegistryMirror;
  const plain = (access?: string) =>
    directives(
      cacheFiles(configOf(mirror({ upstreamUrl: 'a.example', authTTL: '5m', access })))['default.conf'],
    );
  const [without, withAccess] = [plain(), plain('passThrough')];
  fc.assert(
    fc.property(specs(), (spec) => {
      const found = directives(cacheFiles(configOf(mirror(spec)))['default.conf']);
      t.deepEqual(found, spec.access === 'passThrough' ? withAccess : without);
    }),
  );
});

/** Specs whose every text is anything that its pattern allows. */
function specs() {
  const duration = fc.stringMatching(/^[1-9][0-9]{0,5}[smh]$/);
  return fc.record(
    {
      upstreamUrl: fc.stringMatching(new RegExp(upstreamUrlPattern)),
      masqueradeUrl: fc.stringMatching(new RegExp(masqueradeUrlPattern)),
      access: fc.constantFrom('publicOnly', 'shared', 'passThrough'),
      authTTL: duration,
      cache: fc.record({
        tagTTL: duration,
        inactive: duration,
        tagPolicy: fc.constantFrom('revalidate', 'background', 'immutable'),
      }),
      redirectHosts: fc.array(fc.string({ unit: 'binary' })),
      upstreamProxy: fc.string({ unit: 'binary' }),
    },
    { requiredKeys: ['upstreamUrl', 'masqueradeUrl', 'authTTL'] },
  );
}

test('a certificate, a socket and an authority are paths, whatever is in them, or are refused', (t) => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', minLength: 1 }), (text) => {
      const peers = { ...goldenConfigs['pod']!.peers!, certFile: `/${text}`, caFile: `/${text}` };
      const certificates = ['a.test', 'b.test'].map((name) => ({
        certFile: `/${text}`,
        keyFile: '/k',
        names: [name],
      }));
      const config = { ...goldenConfigs['pod']!, peers, certificates, clientCaFile: `/${text}` };
      const plain = directives(cacheFiles({ ...config, ...plainFiles(config) })['default.conf']);
      try {
        t.deepEqual(directives(cacheFiles(config)['default.conf']), plain);
      } catch (error) {
        t.true(error instanceof TypeError);
      }
    }),
  );
  for (const commonName of ['a b', 'a;b', '$host', 'a"b', 'a{b']) {
    const peers = { ...goldenConfigs['pod']!.peers!, commonName };
    t.throws(() => cacheFiles({ ...goldenConfigs['pod']!, peers }), { instanceOf: TypeError }, commonName);
  }
});

/** The same with paths that nobody could object to. */
function plainFiles(config: CacheConfig): Pick<CacheConfig, 'peers' | 'certificates' | 'clientCaFile'> {
  return {
    peers: { ...config.peers!, certFile: '/c', caFile: '/c' },
    certificates: config.certificates.map((certificate) => ({ ...certificate, certFile: '/c' })),
    clientCaFile: '/c',
  };
}

test('a value that nginx would take apart is refused', (t) => {
  for (const masquerade of ['a;b', 'a b"', 'a$host', "a'b", 'a\nb', 'a\\b', '']) {
    const config = cacheConfig([cacheMirror('a', 'a.example', { masquerade })]);
    t.throws(() => cacheFiles(config), { instanceOf: TypeError }, JSON.stringify(masquerade));
  }
});

/** The first word of every line that is not an entry of a map of names, which is where names are expected. */
function directives(text: string): string[] {
  return text
    .split('\n')
    .filter((line) => !/^ {4}=\S+ a;$/.test(line))
    .map((line) => (/^\s*location ~/.test(line) ? 'location' : (line.trim().split(' ')[0] ?? '')));
}
