import { mkdtempSync, rmSync, statSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import fc from 'fast-check';
import { openUnmarked, parseHead, readCacheFile } from '../../../../../src/cache/broker/store/cache-file.ts';

const digest = `sha256:${'b'.repeat(64)}`;
const key = `m|manifest|library/app|${digest}`;
/** As long as that of nginx 1.22. */
const binary = Buffer.alloc(336, 7);
const response = 'HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nDocker-Content-Digest: x: y\r\n\r\n';

function fileOf(head: string, body: Buffer | string = 'body'): Buffer {
  return Buffer.concat([binary, Buffer.from(`\nKEY: ${key}\n${head}`), Buffer.from(body)]);
}

function write(t: ExecutionContext, bytes: Buffer): string {
  const dir = mkdtempSync(join(tmpdir(), 'cache-file-'));
  t.teardown(() => rmSync(dir, { recursive: true }));
  const path = join(dir, 'file');
  writeFileSync(path, bytes);
  return path;
}

test('key, status, headers and the beginning of the body are read', async (t) => {
  const bytes = fileOf(response, 'the body');
  const file = await readCacheFile(write(t, bytes));
  t.like(file?.key, { kind: 'manifest', repository: 'library/app' });
  t.is(file?.head?.status, 200);
  t.is(file?.head?.headers.get('content-type'), 'text/plain');
  t.is(file?.head?.headers.get('docker-content-digest'), 'x: y');
  t.is(bytes.toString('utf8', file?.head?.bodyAt), 'the body');
});

test('a head longer than the first read is read', async (t) => {
  const long = `HTTP/1.1 206 Partial Content\r\nX-Long: ${'x'.repeat(6000)}\r\nContent-Range: bytes 0-3/9\r\n\r\n`;
  const file = await readCacheFile(write(t, fileOf(long)));
  t.is(file?.head?.headers.get('content-range'), 'bytes 0-3/9');
});

test('of a file that is being written the key is known as soon as it is there', async (t) => {
  const file = await readCacheFile(write(t, fileOf('HTTP/1.1 20', '')));
  t.is(file?.key.kind, 'manifest');
  t.is(file?.head, undefined);
});

test('what is foreign, empty, short, a link or gone is none of ours', async (t) => {
  for (const bytes of [Buffer.alloc(0), Buffer.from('KEY: '), Buffer.from('\nKEY: \n'), binary]) {
    t.is(await readCacheFile(write(t, bytes)), undefined);
  }
  const path = write(t, fileOf(response));
  symlinkSync(path, `${path}-link`);
  t.is(await readCacheFile(`${path}-link`), undefined);
  t.is(await readCacheFile('/nonexistent'), undefined);
});

test('no bytes make the parser throw', (t) => {
  const pieces = fc.oneof(
    fc.uint8Array({ maxLength: 64 }),
    fc
      .constantFrom('\nKEY: ', '\n', '\r\n\r\n', key, 'HTTP/1.1 200', '\r\n')
      .map((text) => Buffer.from(text)),
  );
  fc.assert(fc.property(fc.array(pieces), (parts) => void parseHead(Buffer.concat(parts))));
  t.pass();
});

test('reading does not make a file look used', async (t) => {
  const path = write(t, fileOf(response));
  // relatime would note a read of what was last read before it was written.
  utimesSync(path, 1_000, 2_000);
  const file = await openUnmarked(path);
  await file.read(Buffer.alloc(10), 0, 10, 0);
  await file.close();
  t.is(statSync(path).atimeMs, 1_000_000);
});
