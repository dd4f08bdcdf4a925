/** A mirror whose upstream becomes another one: nginx and broker are told at different moments. Both are real. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import { cacheFiles } from '../../src/cache/cache-files.ts';
import { eventually } from '../support/eventually.ts';
import { mirrorOf, startCache } from '../support/nginx.ts';
import { startScriptableUpstream } from '../support/scriptable-upstream.ts';

const path = '/v2/library/app/manifests/1';

test('every client gets an answer, of the first upstream or of the second, and afterwards only of the second', async (t) => {
  const [first, second] = [await upstreamWith(t, 'first'), await upstreamWith(t, 'second')];
  const cache = await startCache(t, [mirrorOf(first.upstream, { tagTtlSeconds: 1 })]);
  const changed = mirrorOf(second.upstream, {
    tagTtlSeconds: 1,
    cacheDir: cache.config.mirrors[0]!.cacheDir,
  });
  const answers: (string | undefined)[] = [];
  let isOver = false;
  const client = async () => {
    while (!isOver) {
      const { status, headers } = await cache.get(path);
      answers.push(status === 200 ? String(headers['docker-content-digest']) : `status ${status}`);
      await delay(20);
    }
  };
  const clients = Array.from({ length: 3 }, client);
  const end = () => {
    isOver = true;
    return Promise.all(clients);
  };
  t.teardown(end);
  await eventually(() => assert.ok(answers.length > 30));

  const config = { ...cache.config, mirrors: [changed] };
  writeFileSync(join(config.paths.confDir, 'broker.json'), cacheFiles(config)['broker.json']);
  // nginx serves what it has of the first until that has had its time.
  await eventually(() => assert.equal(answers.at(-1), second.digest));
  await cache.reload([changed]);
  await delay(500);
  const mark = answers.length;
  await eventually(() => assert.ok(answers.length > mark + 200));
  await end();
  t.deepEqual([...new Set(answers)].sort(), [first.digest, second.digest].sort());
  t.deepEqual([...new Set(answers.slice(mark))], [second.digest]);
});

async function upstreamWith(t: ExecutionContext, name: string) {
  const upstream = await startScriptableUpstream();
  t.teardown(() => upstream.close());
  return { upstream, digest: upstream.addManifest('library/app', '1', { schemaVersion: 2, name }) };
}
