import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { addObject, makeStore } from '../../../../bench/cache/objects.ts';
import { scenariosOf } from '../../../../bench/cache/scenarios.ts';
import { upstreamConf } from '../../../../bench/cache/upstream-conf.ts';
import { makeAuthority, makeLeaf } from '../../../support/certificates.ts';

function folder(t: ExecutionContext): string {
  const dir = mkdtempSync(join(tmpdir(), 'bench-cache-'));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

const scenarioOf = (name: string) => scenariosOf({ quick: true, only: [name] })[0]!;
const [range, image] = [scenarioOf('range'), scenarioOf('tag')];

test('an image is a manifest, a config and a layer whose digests are those of the bytes in the store', async (t) => {
  const dir = folder(t);
  const { parts } = await addObject(makeStore(dir), image, 0);
  const [manifest, config, layer] = parts;
  t.is(manifest?.path, '/v2/bench/app/manifests/tag-0');
  const content = JSON.parse(readFileSync(join(dir, 'manifests', `sha256:${manifest?.sha256}`), 'utf8'));
  t.deepEqual(
    [content.config, ...content.layers].map(({ digest, size }) => [digest, size]),
    [config, layer].map((part) => [`sha256:${part?.sha256}`, part?.bytes]),
  );
  const blob = readFileSync(join(dir, 'blobs', `sha256:${layer?.sha256}`));
  t.is(createHash('sha256').update(blob).digest('hex'), layer!.sha256);
});

test('where a Range is asked for, the digest of these bytes is known, and that of the whole', async (t) => {
  const dir = folder(t);
  const { parts } = await addObject(makeStore(dir), range, 0);
  const whole = readFileSync(join(dir, 'blobs', `sha256:${parts[0]?.whole?.sha256}`));
  const { start, end } = range.range!;
  t.is(
    createHash('sha256')
      .update(whole.subarray(start, end + 1))
      .digest('hex'),
    parts[0]!.sha256,
  );
  t.is(parts[0]?.bytes, end - start + 1);
});

test('nginx accepts the upstream’s configuration', async (t) => {
  const dir = folder(t);
  const store = makeStore(dir);
  await addObject(store, image, 0);
  const { certFile, keyFile } = await makeLeaf(await makeAuthority(join(dir, 'tls')), ['127.0.0.1']);
  const place = {
    address: '127.0.0.1',
    ports: { registry: 7443, cdn: 7444, status: 7445 },
    certFile,
    keyFile,
    dir,
  };
  const secrets = { token: 'a token', signing: 'a secret', expires: 2_000_000_000 };
  const text = upstreamConf({ ...place, workerProcesses: 1 }, store, secrets);
  t.regex(text, /\/blobs\/sha256:[0-9a-f]{64}\?signature=[\w-]{22}&expires=2000000000"/);
  writeFileSync(join(dir, 'nginx.conf'), text);
  t.notThrows(() => execFileSync('nginx', ['-t', '-q', '-e', 'stderr', '-c', join(dir, 'nginx.conf')]));
});
