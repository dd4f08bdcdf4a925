import test from 'ava';
import { cacheSizeMiB } from '../../../src/api/cache-size.ts';
import { claimTemplate } from '../../../src/resources/claim-template.ts';
import { mirrorOf } from './fixtures.ts';

const claim = (spec: object) =>
  mirrorOf({ upstreamUrl: 'quay.io', volumeClaimTemplate: { metadata: { name: 'x' }, spec } });

test('a mirror without a claim template gets 20Gi, ReadWriteOnce', (t) => {
  t.deepEqual(claimTemplate(mirrorOf({ upstreamUrl: 'quay.io' })), {
    metadata: { name: 'image-store' },
    spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '20Gi' } } },
  });
});

test('the user’s claim spec is kept, also fields this program does not know', (t) => {
  const mirror = claim({
    storageClassName: '',
    accessModes: ['ReadWriteMany'],
    selector: { matchLabels: { a: 'b' } },
  });
  t.deepEqual(claimTemplate(mirror)['spec'], {
    storageClassName: '',
    accessModes: ['ReadWriteMany'],
    selector: { matchLabels: { a: 'b' } },
    resources: { requests: { storage: '20Gi' } },
  });
});

test('the cache may use 80 % of the claim, and is never without a bound', (t) => {
  t.is(cacheSizeMiB(mirrorOf({ upstreamUrl: 'quay.io' })), 16 * 1024);
  t.is(cacheSizeMiB(claim({ resources: { requests: { storage: '10G' } } })), 7629);
  t.is(cacheSizeMiB(claim({ resources: { requests: { storage: 0 } } })), 1);
});
