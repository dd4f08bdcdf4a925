/** The files kept beside the unit tests, fed to their real consumer. */
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { cacheFiles } from '../../src/cache/cache-files.ts';
import { cacheMirrorOf } from '../../src/cache/cache-mirror.ts';
import { testNginx } from '../../src/cache/nginx-process.ts';
import { parseMirrorsFile } from '../../src/standalone/mirrors-file.ts';
import { cacheConfig } from '../support/cache-config.ts';
import { makeAuthority, makeLeaf } from '../support/certificates.ts';

const golden = join(import.meta.dirname, '../unit/cache/golden');
const examples = join(import.meta.dirname, '../../examples');

for (const name of readdirSync(golden)) {
  test(`nginx accepts the kept ${name} configuration`, async (t) => {
    const root = await machine();
    t.teardown(() => rmSync(root, { recursive: true }));
    for (const file of ['nginx.conf', 'default.conf']) {
      const text = readFileSync(join(golden, name, file), 'utf8');
      // The kept files lie below `/`; here they lie below a folder of the test.
      writeFileSync(join(root, 'config', file), text.replace(/"(unix:)?\/(?!dev\/)/g, `"$1${root}/`));
    }
    await t.notThrowsAsync(testNginx(join(root, 'config', 'nginx.conf')));
  });
}

for (const example of readdirSync(examples).filter((file) => file.endsWith('.yaml'))) {
  test(`nginx accepts the configuration of examples/${example}`, async (t) => {
    const root = await machine();
    t.teardown(() => rmSync(root, { recursive: true }));
    const { mirrors } = parseMirrorsFile(readFileSync(join(examples, example), 'utf8'), example);
    const caches = mirrors.map((mirror) =>
      cacheMirrorOf(mirror, {
        cacheDir: join(root, 'data/cache', mirror.metadata.name),
        extraNames: [],
        credentials: [],
        caFiles: [],
      }),
    );
    const accessLog = join(root, 'access.log');
    const files = cacheFiles(
      cacheConfig(caches, { accessLog, listen: [{ address: '127.0.0.1', port: 5000 }] }, root),
    );
    for (const [file, text] of Object.entries(files)) writeFileSync(join(root, 'config', file), text);
    await t.notThrowsAsync(testNginx(join(root, 'config', 'nginx.conf')));
  });
}

test('nginx names what it refuses', async (t) => {
  const root = await machine();
  t.teardown(() => rmSync(root, { recursive: true }));
  const file = join(root, 'bad.conf');
  writeFileSync(file, 'events {}\nnonsense on;\n');
  await t.throwsAsync(testNginx(file), { message: /unknown directive "nonsense" in .*bad\.conf:2/ });
});

/** Folders and certificates as a cache expects them. */
async function machine(): Promise<string> {
  const root = mkdtempSync(join(tmpdir(), 'nginx-conf-'));
  for (const dir of ['run', 'tmp', 'config', 'data/cache']) mkdirSync(join(root, dir), { recursive: true });
  const authority = await makeAuthority(join(root, 'tls'));
  for (const label of ['tls', 'peer']) await makeLeaf(authority, ['127.0.0.1'], label);
  for (const name of ['peer-ca.crt', 'client-ca.crt']) cpSync(authority.file, join(root, 'tls', name));
  cpSync(join(root, 'tls'), join(root, 'tls-given'), { recursive: true });
  return root;
}
