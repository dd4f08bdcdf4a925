import test, { type ExecutionContext } from 'ava';
import { parseUpstream } from '../../../../src/api/upstream.ts';
import { upstreamIdentity } from '../../../../src/cache/upstream-identity.ts';
import { brokerConfig, mirrorOf, openTestMirror, startBroker } from '../../../support/broker.ts';
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

test('what a client shows is for the upstream that nginx means, and what it may read there is of that one', async (t) => {
  const [first, second] = [await startScriptableUpstream(), await startScriptableUpstream()];
  t.teardown(() => Promise.all([first.close(), second.close()]));
  for (const upstream of [first, second]) upstream.addManifest('a/b', 'v1', { schemaVersion: 2, layers: [] });
  const mirrorAt = ({ host }: { host: string }) => mirrorOf(`http://${host}`, { access: 'passThrough' });
  const broker = await startBroker(t, [mirrorAt(first)], {}, { followMs: 3_600_000 });
  const meaning = (host: string) => ({
    authorization: 'Basic YTph',
    'x-upstream-identity': upstreamIdentity(parseUpstream(`http://${host}`)),
  });
  const questions = ['/m/-/authorize/v2/a/b/manifests/v1', '/m/-/ping'];

  const refused = await broker.get(questions[0]!, meaning('elsewhere.example'));
  t.deepEqual([refused.status, refused.headers['x-refusal']], [403, '503']);
  t.is((await broker.get(questions[1]!, meaning('elsewhere.example'))).status, 503);
  t.is(first.seen.length, 0);

  broker.configure(brokerConfig(broker.dir, [mirrorAt(second)]));
  t.is((await broker.get(questions[0]!, meaning(second.host))).status, 204, 'it looks at its configuration');
  t.true(second.seen.length > 0);
  for (const path of questions) t.true((await broker.get(path, meaning(first.host))).status >= 400, path);
  t.is(first.seen.length, 0);
});
