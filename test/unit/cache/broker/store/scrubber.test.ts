import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import test from 'ava';
import { Scrubber } from '../../../../../src/cache/broker/store/scrubber.ts';
import { UnverifiedMark } from '../../../../../src/cache/broker/store/unverified-mark.ts';
import { slicesOf } from '../../../../../src/cache/broker/store/verify-blob.ts';
import { createLogger } from '../../../../../src/observe/log.ts';
import { parseDigest } from '../../../../../src/registry/digest.ts';
import { elapsedMs } from '../../../../../src/registry/elapsed.ts';

test('what removes a corrupt blob ends with its broker, however many slices its size would make', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'scrub-'));
  t.teardown(() => rmSync(dir, { recursive: true }));
  const blob = { mirror: 'm', digest: `sha256:${'0'.repeat(64)}`, totalBytes: 2 ** 42 };
  const place = { dir, sliceBytes: 1024 };
  const [first] = slicesOf({ ...blob, ...place, digest: parseDigest(blob.digest)! });
  mkdirSync(dirname(first!.path), { recursive: true });
  writeFileSync(first!.path, 'no file of nginx');
  const end = new AbortController();
  const scrubber = new Scrubber({
    mirrors: () => ['m'],
    mark: new UnverifiedMark(dir, createLogger({ level: 'silent' })),
    place: () => place,
    isBusy: () => false,
    onCorrupt: async () => t.fail(),
    log: createLogger({ level: 'silent' }),
    signal: end.signal,
    now: Date.now,
    elapsed: elapsedMs,
  });
  scrubber.note(blob, 0);
  const running = scrubber.run();
  await delay(200);
  end.abort();
  await running;
  t.is(scrubber.report('m').checked, 1);
});
