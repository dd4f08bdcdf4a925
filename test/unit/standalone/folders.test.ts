import { generateKeyPairSync } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { inspectCertificate } from '../../../src/cache/tls/certificate.ts';
import { ConfigError } from '../../../src/config/problems.ts';
import { createLogger } from '../../../src/observe/log.ts';
import { givenCertificate, ownCertificate, renewLeaf } from '../../../src/standalone/certificates.ts';
import { dropOldCredentials, placeCredentials } from '../../../src/standalone/credentials.ts';
import {
  assertOwnFolder,
  type Folders,
  foldersOf,
  makeFolders,
  writeWhole,
} from '../../../src/standalone/folders.ts';
import { lockFolder, noteCaches, removeOldCaches, unlockFolder } from '../../../src/standalone/leftovers.ts';
import { makeAuthority, makeLeaf } from '../../support/certificates.ts';

const log = createLogger({ level: 'silent' });
const dayMs = 86_400_000;

test('a data folder whose socket path would be too long is refused', (t) => {
  t.throws(() => foldersOf(`/${'a'.repeat(100)}`), { instanceOf: ConfigError, message: /--data/ });
  t.notThrows(() => foldersOf(`/${'a'.repeat(80)}`));
});

test('files are for the owner only and replaced whole', async (t) => {
  const { folders } = await folder(t);
  const file = join(folders.credentialsDir, 'file');
  await writeWhole(file, 'one');
  await writeWhole(file, 'two');
  t.is(readFileSync(file, 'utf8'), 'two');
  t.is(statSync(file).mode & 0o777, 0o600);
  t.is(statSync(folders.credentialsDir).mode & 0o777, 0o700);
  t.deepEqual(readdirSync(folders.credentialsDir), ['file']);
});

test('changed credentials get a folder of their own; the same ones keep theirs', async (t) => {
  const { folders } = await folder(t);
  const root = folders.credentialsDir;
  const first = await placeCredentials(root, 'a', { username: 'u', password: 'p' });
  t.is(await placeCredentials(root, 'a', { username: 'u', password: 'p' }), first);
  const second = await placeCredentials(root, 'a', { username: 'u', password: 'q' });
  t.not(second, first);
  // What an interrupted run left is not taken for credentials.
  mkdirSync(join(root, 'a@9'));
  writeFileSync(join(root, 'a@9', 'username'), 'u');
  const third = await placeCredentials(root, 'a', { username: 'u', password: 'q' });
  t.is(readFileSync(join(third, 'password'), 'utf8'), 'q');
  await dropOldCredentials(root, [third]);
  t.deepEqual(readdirSync(root), [basename(third)]);
  t.false(third.endsWith('a@9'));
});

test('a folder that credentials had is not used again, since a broker may still look there', async (t) => {
  const { folders } = await folder(t);
  const root = folders.credentialsDir;
  const first = await placeCredentials(root, 'a', { username: 'u', password: 'p' });
  await dropOldCredentials(root, []);
  const second = await placeCredentials(root, 'a', { username: 'u', password: 'q' });
  t.not(second, first);
  t.deepEqual(readdirSync(root), [basename(second)]);
});

test('a leaf is kept while it serves and made anew for other names, before its end and when it is damaged', async (t) => {
  const { folders } = await folder(t);
  const now = new Date();
  const leafAt = async (names: string[], days: number) => {
    const at = new Date(now.getTime() + days * dayMs);
    return readFileSync((await ownCertificate(folders, names, log, at)).certFile, 'utf8');
  };
  const first = await leafAt(['a.test'], 0);
  const authority = readFileSync(folders.caFile, 'utf8');
  t.is(await leafAt(['a.test'], 55), first);
  const renewed = await leafAt(['a.test'], 65);
  t.not(renewed, first);
  const wider = await leafAt(['a.test', 'b.test'], 65);
  t.deepEqual(inspectCertificate(wider).names, ['a.test', 'b.test']);
  writeFileSync(join(folders.tlsDir, 'tls.key'), 'half');
  t.not(await leafAt(['a.test'], 65), wider);
  t.is(readFileSync(folders.caFile, 'utf8'), authority);
});

test('a leaf that is to come is made anew, but for one of an authority that is to come as well', async (t) => {
  const { folders } = await folder(t);
  const leafAt = async (days: number) => {
    const at = new Date(Date.now() + days * dayMs);
    await renewLeaf(folders, log, at);
    return inspectCertificate(readFileSync(join(folders.tlsDir, 'tls.crt'), 'utf8'));
  };
  await ownCertificate(folders, ['a.test', '::1'], log);
  const { notBefore, names } = await leafAt(0);
  const authority = readFileSync(folders.caFile, 'utf8');
  t.deepEqual((await leafAt(-400)).notBefore, notBefore, 'a clock that is not set yet');
  t.true((await leafAt(80)).notBefore.getTime() > Date.now() + 79 * dayMs);
  const last = await leafAt(10);
  t.true(last.notBefore.getTime() < Date.now() + 11 * dayMs, 'set back');
  t.deepEqual(last.names, names);
  t.deepEqual(await leafAt(3600), last, 'an authority that cannot sign a whole one is no matter of a moment');
  t.is(readFileSync(folders.caFile, 'utf8'), authority);
});

test('an authority that could not sign a whole leaf any more is replaced', async (t) => {
  const { folders } = await folder(t);
  await ownCertificate(folders, ['a.test'], log);
  const before = readFileSync(folders.caFile, 'utf8');
  await ownCertificate(folders, ['a.test'], log, new Date(Date.now() + 3600 * dayMs));
  t.not(readFileSync(folders.caFile, 'utf8'), before);
});

test('a given key that does not belong to the certificate is refused', async (t) => {
  const { dir } = await folder(t);
  const authority = await makeAuthority(dir);
  const one = await makeLeaf(authority, ['a.test'], 'one');
  const two = await makeLeaf(authority, ['a.test'], 'two');
  await t.notThrowsAsync(givenCertificate(one.certFile, one.keyFile, ['a.test'], log));
  await t.throwsAsync(givenCertificate(one.certFile, two.keyFile, ['a.test'], log), {
    message: /expected the key/,
  });
  const locked = join(dir, 'locked.key');
  const key = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
  writeFileSync(locked, key.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'p' }));
  await t.throwsAsync(givenCertificate(one.certFile, locked, ['a.test'], log), {
    message: `${locked}: expected a private key in PEM without a passphrase`,
  });
  await t.throwsAsync(givenCertificate(one.keyFile, one.keyFile, ['a.test'], log), {
    message: `${one.keyFile}: expected a certificate in PEM`,
  });
});

test('a data folder has one process at a time; the lock of a dead one does not count', async (t) => {
  const { folders } = await folder(t);
  await lockFolder(folders);
  await t.throwsAsync(lockFolder(folders), {
    instanceOf: ConfigError,
    message: new RegExp(`process ${process.pid}`),
  });
  // The same process id at another time is another process.
  writeFileSync(folders.lockFile, `${process.pid} 1\n`);
  await t.notThrowsAsync(lockFolder(folders));
  await unlockFolder(folders);
  t.deepEqual(readdirSync(folders.runDir), []);
});

test('of many that find the lock of a dead process at once one gets the folder', async (t) => {
  const { folders } = await folder(t);
  for (let round = 0; round < 10; round += 1) {
    for (const stale of [`${process.pid} 1\n`, '']) {
      writeFileSync(folders.lockFile, stale);
      const all = await Promise.allSettled(Array.from({ length: 8 }, () => lockFolder(folders)));
      t.is(all.filter(({ status }) => status === 'fulfilled').length, 1);
      t.deepEqual(readdirSync(folders.runDir), ['standalone.lock']);
    }
  }
});

test('the root of the machine is no folder for data', (t) => {
  for (const data of ['/', '//', '/tmp/..']) t.throws(() => foldersOf(data), { instanceOf: ConfigError });
});

test('a folder with a cache or logs of somebody else is refused, and one that was used before is not', async (t) => {
  const { folders } = await folder(t);
  await t.notThrowsAsync(assertOwnFolder(folders));
  writeFileSync(folders.lockFile, '');
  await t.notThrowsAsync(assertOwnFolder(folders), 'a first start that was cut short');
  for (const dir of [folders.cacheDir, folders.logDir, folders.tempDir, folders.runDir]) {
    writeFileSync(join(dir, 'apt'), '');
    await t.throwsAsync(assertOwnFolder(folders), {
      instanceOf: ConfigError,
      message: `--data: expected a folder for this alone, got ${folders.root}, where ${join(dir, 'apt')} is somebody else's`,
    });
    rmSync(join(dir, 'apt'));
  }
  writeFileSync(join(folders.logDir, 'error.log'), '');
  writeFileSync(join(folders.confDir, 'nginx.conf'), '');
  await t.notThrowsAsync(assertOwnFolder(folders));
  rmSync(join(folders.confDir, 'nginx.conf'));
  await noteCaches(folders, []);
  await t.notThrowsAsync(assertOwnFolder(folders));
});

test('of caches only those are removed that were made here', async (t) => {
  const { folders } = await folder(t);
  const cache = (name: string) => join(folders.cacheDir, name);
  for (const name of ['one', 'two', 'foreign']) mkdirSync(cache(name));
  await removeOldCaches(folders, [], log);
  await noteCaches(folders, ['one', 'two']);
  writeFileSync(folders.madeCachesFile, `../conf\n/\n${readFileSync(folders.madeCachesFile, 'utf8')}`);
  await removeOldCaches(folders, ['two'], log);
  t.deepEqual(readdirSync(folders.cacheDir).sort(), ['foreign', 'two']);
  t.true(existsSync(folders.confDir));
  await noteCaches(folders, ['three']);
  t.is(readFileSync(folders.madeCachesFile, 'utf8'), 'two\nthree\n');
});

async function folder(t: ExecutionContext): Promise<{ dir: string; folders: Folders }> {
  const dir = mkdtempSync(join(tmpdir(), 'standalone-'));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  const folders = foldersOf(join(dir, 'data'));
  await makeFolders(folders);
  return { dir, folders };
}
