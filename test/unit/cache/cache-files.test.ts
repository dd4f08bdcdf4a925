import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import fc from 'fast-check';
import { masqueradeUrlPattern, upstreamUrlPattern } from '../../../src/api/upstream.ts';
import { parseBrokerConfig } from '../../../src/cache/broker/broker-config.ts';
import { type CacheFileName, cacheFiles } from '../../../src/cache/cache-files.ts';
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
  const config = goldenConfigs['standalone']!;
  t.deepEqual(templatePaths('nginx.conf'), viewPaths(nginxView(config)));
  t.deepEqual(templatePaths('default.conf'), viewPaths(defaultView(config)));
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
  const plain = directives(cacheFiles(cacheConfig([cacheMirror('a', 'a.example')]))['default.conf']);
  const upstreamUrl = fc.stringMatching(new RegExp(upstreamUrlPattern));
  const masquerade = fc.stringMatching(new RegExp(masqueradeUrlPattern));
  fc.assert(
    fc.property(upstreamUrl, masquerade, (url, name) => {
      const config = cacheConfig([cacheMirror('a', url, { masquerade: name })]);
      t.deepEqual(directives(cacheFiles(config)['default.conf']), plain);
    }),
  );
});

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
