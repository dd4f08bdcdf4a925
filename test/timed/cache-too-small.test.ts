/** Must hold: what nginx removes within its bound, without a word to the broker, is told as too small a cache. Real nginx; two walks lie a minute apart. */
import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import test from 'ava';
import { brokerSocket } from '../../src/cache/cache-config.ts';
import { freePort } from '../kubernetes/free-ports.ts';
import { ask } from '../support/broker.ts';
import { eventually } from '../support/eventually.ts';
import { randomBytes } from '../support/images.ts';
import { mirrorOf, startCache } from '../support/nginx.ts';
import { startScriptableUpstream } from '../support/scriptable-upstream.ts';

const mib = 2 ** 20;
const maxSizeMiB = 16;
const objectBytes = mib / 8;
/** So slow that nginx is never an eighth above its bound between two of its rounds, where the broker would step in. */
const everyMs = 800;

test('a mirror that churns within its bound tells how old what goes is', async (t) => {
  t.timeout(240_000);
  const upstream = await startScriptableUpstream();
  t.teardown(() => upstream.close());
  const metrics = await freePort();
  const cache = await startCache(t, [mirrorOf(upstream, { maxSizeMiB })], {
    metricsListen: { address: '127.0.0.1', port: metrics },
  });
  const figures = async () => (await fetch(`http://127.0.0.1:${metrics}/metrics`)).text();
  const figure = async (name: string) =>
    new RegExp(`^registry_mirror_${name}\\{mirror="m"\\} (\\S+)$`, 'm').exec(await figures())?.[1];
  let count = 0;
  const pull = async () => {
    const digest = upstream.addBlob(randomBytes(`object ${count}`, objectBytes));
    count += 1;
    assert.equal((await cache.get(`/v2/library/app/blobs/${digest}`)).status, 200);
  };
  while (count * objectBytes < (maxSizeMiB - 1) * mib) await pull();
  t.is(await figure('cache_youngest_evicted_age_seconds'), undefined);
  const stop = new AbortController();
  t.teardown(() => stop.abort());
  const churn = (async () => {
    for (; !stop.signal.aborted; await delay(everyMs)) await pull();
  })();
  const age = await eventually(
    async () => {
      const age = await figure('cache_youngest_evicted_age_seconds');
      assert.ok(age !== undefined);
      return Number(age);
    },
    { timeout: 200_000, interval: 1_000 },
  );
  stop.abort();
  await churn;
  t.log(`${count} objects, ${age} s`);
  t.true(age < 240);
  // It was nginx alone that removed.
  const store = (await ask(brokerSocket(cache.config.paths), '/-/store')).body.toString();
  t.is(JSON.parse(store).mirrors[0].evicted.files, 0);
});
