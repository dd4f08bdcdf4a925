import test from 'ava';
import { fetchManifest } from '../../../../src/registry/manifest.ts';
import { mirrorOf, openTestMirror } from '../../../support/broker.ts';
import { startScriptableUpstream } from '../../../support/scriptable-upstream.ts';

test('an upstream is waited for as long as its mirror says', async (t) => {
  const upstream = await startScriptableUpstream();
  t.teardown(() => upstream.close());
  upstream.addManifest('a/b', 'v1', { schemaVersion: 2, layers: [] });
  upstream.faults = { delayMs: 1_500 };
  const fetchWith = async (headers: number) => {
    const config = mirrorOf(`http://${upstream.host}`, {
      timeouts: { connect: 5_000, headers, bodyIdle: 5_000 },
    });
    const mirror = await openTestMirror(t, config);
    const { signal } = new AbortController();
    return fetchManifest(mirror.client, { repository: 'a/b', reference: 'v1', accept: '*/*', signal });
  };
  await t.throwsAsync(fetchWith(200), { code: 'timeout' });
  t.truthy(await fetchWith(10_000));
});
