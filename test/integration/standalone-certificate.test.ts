/** The certificate of the cache on one machine, while clocks and files change under it. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import test from 'ava';
import { issueLeaf } from '../../src/cache/tls/authority.ts';
import { createLogger } from '../../src/observe/log.ts';
import { runStandalone } from '../../src/standalone/standalone.ts';
import { eventually } from '../support/eventually.ts';

const mirror = `
apiVersion: k8s.osp.tech/v1
kind: RegistryMirror
metadata: {name: demo}
spec: {upstreamUrl: registry.example, masqueradeUrl: mirror.test}
`;
const dayMs = 86_400_000;

test('a leaf that has run out meanwhile is made anew, also while the file is at fault', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'standalone-'));
  t.teardown(() => rmSync(dir, { recursive: true }));
  const [file, data] = [join(dir, 'mirrors.yaml'), join(dir, 'data')];
  writeFileSync(file, mirror);
  const ready = Promise.withResolvers<string>();
  const stop = new AbortController();
  const running = runStandalone(
    { file, data, listen: '127.0.0.1', port: 0 },
    {
      log: createLogger({ level: 'silent' }),
      print: ready.resolve,
      checkCredentials: () => {},
      mainFile: join(import.meta.dirname, '../../src/main.ts'),
      certificateMs: 200,
    },
    stop.signal,
  );
  t.teardown(async () => {
    stop.abort();
    await running;
  });
  running.catch(ready.reject);
  const port = Number(/:(\d+) mirror.test$/.exec(await ready.promise)?.[1]);
  const ca = readFileSync(join(data, 'ca.crt'), 'utf8');
  const authority = { certificatePem: ca, keyPem: readFileSync(join(data, 'tls/ca.key'), 'utf8') };
  const names = ['mirror.test', 'localhost'];
  writeFileSync(file, 'neither YAML: nor: a mirror');
  const now = new Date(Date.now() - 100 * dayMs);
  const old = await issueLeaf(authority, { names, days: 90, now });
  writeFileSync(join(data, 'tls/tls.key'), old.keyPem);
  writeFileSync(join(data, 'tls/tls.crt'), old.certificatePem);
  await eventually(() =>
    assert.notEqual(readFileSync(join(data, 'tls/tls.crt'), 'utf8'), old.certificatePem),
  );
  const served = await eventually(() => certificateAt(port, ca));
  t.true(Date.parse(served.valid_to) > Date.now() + 80 * dayMs);
});

/** Rejects where a client that trusts `ca` refuses it. */
function certificateAt(port: number, ca: string) {
  const socket = connect({ host: '127.0.0.1', port, ca, servername: 'mirror.test' });
  const { promise, resolve, reject } = Promise.withResolvers<ReturnType<typeof socket.getPeerCertificate>>();
  socket.on('secureConnect', () => resolve(socket.getPeerCertificate()));
  socket.on('error', reject);
  return promise.finally(() => socket.destroy());
}
