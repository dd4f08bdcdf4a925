import test, { type ExecutionContext } from 'ava';
import { mirrorOf, openTestMirror } from '../../../support/broker.ts';
import { startScriptableUpstream } from '../../../support/scriptable-upstream.ts';

async function setUp(t: ExecutionContext) {
  const upstream = await startScriptableUpstream();
  t.teardown(() => upstream.close());
  const digest = upstream.addManifest('a/b', 'v1', { schemaVersion: 2, layers: [] });
  const mirror = await openTestMirror(t, mirrorOf(`http://${upstream.host}`));
  const { signal } = new AbortController();
  const asked = { repository: 'a/b', reference: 'v1', accept: '*/*', signal };
  return { upstream, digest, tags: mirror.tags, asked };
}

test('clients share an answer on its way with nobody who has another Authorization', async (t) => {
  const { upstream, tags, asked } = await setUp(t);
  upstream.faults = { delayMs: 500 };
  const headers = ['Basic YTph', 'Basic YTph', 'Basic Yjpi', '', undefined, undefined];
  await Promise.all(headers.map((authorization) => tags.fetch({ ...asked, authorization })));
  t.is(upstream.counters.requests, 4);
});

test('a manifest that one client’s request brought is not remembered for another', async (t) => {
  const { tags, asked, digest } = await setUp(t);
  const one = { ...asked, authorization: 'Basic YTph' };
  await tags.fetch(one);
  t.truthy(tags.remembered(one, digest));
  t.is(tags.remembered({ ...asked, authorization: 'Basic Yjpi' }, digest), undefined);
  t.is(tags.remembered(asked, digest), undefined);
});
