import { randomBytes } from 'node:crypto';
import test from 'ava';
import { mirrorOf, startBroker } from '../../../support/broker.ts';
import { startScriptableUpstream } from '../../../support/scriptable-upstream.ts';

test('a slice of a blob is answered as 206 with the digest as ETag', async (t) => {
  const upstream = await startScriptableUpstream();
  t.teardown(() => upstream.close());
  const blob = randomBytes(3_000_000);
  const digest = upstream.addBlob(blob);
  const broker = await startBroker(t, [mirrorOf(`http://${upstream.host}`)]);
  const answer = await broker.get(`/m/v2/a/b/blobs/${digest}`, { range: 'bytes=1048576-2097151' });
  t.is(answer.status, 206);
  t.is(answer.headers['content-range'], 'bytes 1048576-2097151/3000000');
  t.is(answer.headers.etag, `"${digest}"`);
  t.is(answer.headers['x-accel-expires'], '31536000');
  t.true(answer.body.equals(blob.subarray(1048576, 2097152)));
});
