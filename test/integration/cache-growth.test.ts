/** A cache whose bound changes while it runs: real nginx and broker. */
import test from 'ava';
import { defaultView } from '../../src/cache/nginx-view.ts';
import { digestOf, randomBytes } from '../support/images.ts';
import { mirrorOf, startCache } from '../support/nginx.ts';
import { startScriptableUpstream } from '../support/scriptable-upstream.ts';

test('A larger volume gives nginx a larger bound and more room for keys by a reload; what was cached is a hit', async (t) => {
  const upstream = await startScriptableUpstream();
  t.teardown(() => upstream.close());
  const bytes = randomBytes('grown', 5 * 2 ** 20);
  const manifest = upstream.addManifest('library/app', '1', { schemaVersion: 2 });
  const paths = [
    `/v2/library/app/blobs/${upstream.addBlob(bytes)}`,
    `/v2/library/app/manifests/${manifest}`,
    '/v2/library/app/manifests/1',
  ];
  const small = mirrorOf(upstream, { maxSizeMiB: 1_000 });
  const cache = await startCache(t, [small], { sliceSizeKiB: 1024 });
  for (const path of paths) await cache.get(path);
  const asked = upstream.counters.requests;
  const [before] = defaultView(cache.config).mirrors;

  const large = { ...small, maxSizeMiB: 1_000_000 };
  await cache.reload([large]);
  const [after] = defaultView({ ...cache.config, mirrors: [large] }).mirrors;
  t.not(after?.maxSize, before?.maxSize);
  t.not(after?.keysZone, before?.keysZone, 'nginx makes the zone anew, empty');
  for (const path of paths) {
    const { status, headers, body } = await cache.get(path);
    t.is(status, 200);
    t.is(headers['x-cache-status'], 'HIT', path);
    if (path.includes('/blobs/')) t.is(digestOf(body), digestOf(bytes));
  }
  t.is(upstream.counters.requests, asked, 'the upstream was not asked again');
});
