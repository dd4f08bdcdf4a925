import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { type KeyPair, KeyPairFolder, readKeyPair } from '../../../src/admission/key-pair-folder.ts';
import { createAuthority, issueLeaf } from '../../../src/cache/tls/authority.ts';
import { createLogger } from '../../../src/observe/log.ts';
import { eventually } from '../../support/eventually.ts';

const authority = createAuthority({ commonName: 'test', days: 2 });
const newPair = async () => issueLeaf(await authority, { names: ['webhook'], days: 1 });

function scene(t: ExecutionContext) {
  const folder = mkdtempSync(join(tmpdir(), 'pair-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  return { folder, write: (name: string, text: string) => writeFileSync(join(folder, name), text) };
}

for (const [certFile, keyFile] of [
  ['tls.crt', 'tls.key'],
  ['cert.pem', 'key.pem'],
  ['gilly.pem', 'gilly.key'],
] as const) {
  test(`${certFile} and ${keyFile} are a pair`, async (t) => {
    const { folder, write } = scene(t);
    const { certificatePem, keyPem } = await newPair();
    write(certFile, certificatePem);
    await t.throwsAsync(readKeyPair(folder), {
      message: /^expected tls.crt and tls.key, or .* none of these$/,
    });
    write(keyFile, keyPem);
    t.like(await readKeyPair(folder), { cert: certificatePem, key: keyPem });
  });
}

test('the first pair that is there counts', async (t) => {
  const { folder, write } = scene(t);
  const [one, other] = [await newPair(), await newPair()];
  write('gilly.pem', other.certificatePem);
  write('gilly.key', other.keyPem);
  write('tls.crt', one.certificatePem);
  t.is((await readKeyPair(folder)).cert, other.certificatePem);
  write('tls.key', one.keyPem);
  t.is((await readKeyPair(folder)).cert, one.certificatePem);
});

test('a key of another certificate, half a file, and no PEM are refused, and nothing of them is told', async (t) => {
  const { folder, write } = scene(t);
  const [one, other] = [await newPair(), await newPair()];
  write('tls.crt', one.certificatePem);
  write('tls.key', other.keyPem);
  await t.throwsAsync(readKeyPair(folder), { message: /the key does not belong to the certificate/ });
  write('tls.key', one.keyPem.slice(0, 60));
  await t.throwsAsync(readKeyPair(folder), {
    message: 'tls.crt and tls.key: expected a certificate and its private key as PEM',
  });
  write('tls.key', one.keyPem);
  write('tls.crt', one.certificatePem.slice(0, 60));
  await t.throwsAsync(readKeyPair(folder), { message: /as PEM$/ });
  write('tls.crt', one.certificatePem + (await authority).certificatePem.slice(0, -60));
  await t.throwsAsync(readKeyPair(folder), { message: /as PEM$/ });
});

function follow(t: ExecutionContext, folder: string) {
  const taken: KeyPair[] = [];
  let log = '';
  const logger = createLogger({ destination: { write: (line: string) => (log += line) } });
  const pairs = new KeyPairFolder({ folder, changed: (pair) => taken.push(pair), logger, everyMs: 10 });
  const stop = new AbortController();
  const running = pairs.run(stop.signal);
  t.teardown(async () => {
    stop.abort();
    await running;
  });
  const until = (cert: string) =>
    eventually(() => {
      if (pairs.pair?.cert !== cert) throw new Error('another one');
    });
  const told = (what: RegExp) =>
    eventually(() => {
      if (!what.test(log)) throw new Error(log);
    });
  return { pairs, taken, until, told, log: () => log };
}

test('a pair is waited for, and a new one taken when it is whole', async (t) => {
  const { folder, write } = scene(t);
  const { pairs, taken, until, told, log } = follow(t, folder);
  await told(/cannot be used/);
  const [one, other] = [await newPair(), await newPair()];
  write('tls.crt', one.certificatePem);
  write('tls.key', one.keyPem);
  await until(one.certificatePem);
  write('tls.crt', other.certificatePem);
  await told(/does not belong/);
  t.is(pairs.pair?.cert, one.certificatePem, 'the old one stays in force');
  write('tls.key', other.keyPem);
  await until(other.certificatePem);
  rmSync(join(folder, 'tls.crt'));
  await told(/found none[\s\S]*found none/);
  t.is(pairs.pair?.cert, other.certificatePem);
  t.is(taken.length, 2);
  t.false(log().includes('PRIVATE KEY'));
});

test('the exchange of a mounted Secret’s link is followed', async (t) => {
  const { folder } = scene(t);
  const put = async (version: string) => {
    const { certificatePem, keyPem } = await newPair();
    mkdirSync(join(folder, version));
    writeFileSync(join(folder, version, 'tls.crt'), certificatePem);
    writeFileSync(join(folder, version, 'tls.key'), keyPem);
    symlinkSync(version, join(folder, '..data_tmp'));
    renameSync(join(folder, '..data_tmp'), join(folder, '..data'));
    return certificatePem;
  };
  const first = await put('..1');
  for (const name of ['tls.crt', 'tls.key']) symlinkSync(join('..data', name), join(folder, name));
  const { until } = follow(t, folder);
  await until(first);
  await until(await put('..2'));
  t.pass();
});
