import test, { type ExecutionContext } from 'ava';
import { openMirror } from '../../../../src/cache/broker/mirror.ts';
import { createLogger } from '../../../../src/observe/log.ts';
import { mirrorOf } from '../../../support/broker.ts';
import { startScriptableUpstream } from '../../../support/scriptable-upstream.ts';

async function setUp(t: ExecutionContext) {
  const upstream = await startScriptableUpstream();
  t.teardown(() => upstream.close());
  const digest = upstream.addManifest('a/b', 'v1', { schemaVersion: 2, layers: [] });
  const mirror = await openMirror(mirrorOf(`http://${upstream.host}`), {
    log: createLogger({ level: 'silent' }),
  });
  t.teardown(() => mirror.destroy());
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
  const { upstream, tags, asked, digest } = await setUp(t);
  await tags.fetch({ ...asked, authorization: 'Basic YTph' });
  await tags.fetch({ ...asked, authorization: 'Basic YTph' }, digest);
  t.is(upstream.counters.requests, 1);
  await tags.fetch({ ...asked, authorization: 'Basic Yjpi' }, digest);
  await tags.fetch(asked, digest);
  t.is(upstream.counters.requests, 3);
});
