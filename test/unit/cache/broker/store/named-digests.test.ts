import test from 'ava';
import { digestsNamedBy } from '../../../../../src/cache/broker/store/named-digests.ts';

test('a manifest names its configuration, layers and blobs, of any type', (t) => {
  const text = JSON.stringify({
    config: { digest: 'c' },
    layers: [{ digest: 'l1' }, { digest: 'l2' }],
    blobs: [{ digest: 'b' }],
    fsLayers: [{ blobSum: 'f' }],
  });
  t.deepEqual(digestsNamedBy(text), ['c', 'l1', 'l2', 'b', 'f']);
});

test('an index, what is no manifest and what is no JSON name none', (t) => {
  for (const text of ['{"manifests":[{"digest":"x"}]}', '[]', 'null', '', '{"layers":{}}', '{"config":1}']) {
    t.deepEqual(digestsNamedBy(text), [], text);
  }
});
