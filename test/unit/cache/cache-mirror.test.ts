import test from 'ava';
import { type RegistryMirror, registryMirrorSchema } from '../../../src/api/registry-mirror.ts';
import { cacheMirrorOf } from '../../../src/cache/cache-mirror.ts';

const place = { cacheDir: '/cache', extraNames: ['10.0.0.1'], credentials: [], caFiles: [] };

test('a mirror with nothing but its upstream gets the defaults of the contract', (t) => {
  t.deepEqual(cacheMirrorOf(mirror({ upstreamUrl: 'gcr.io' }), place), {
    name: 'a',
    upstream: { scheme: 'https', host: 'gcr.io', pathPrefix: '', dockerHub: false, names: ['gcr.io'] },
    masquerade: 'mirror-gcr.io',
    names: ['gcr.io', '10.0.0.1'],
    tagTtlSeconds: 60,
    tagPolicy: 'revalidate',
    access: 'publicOnly',
    authTtlSeconds: 300,
    maxSizeMiB: 16384,
    redirectHosts: [],
    timeouts: { connect: 5000, headers: 20_000, bodyIdle: 30_000 },
    credentials: [],
    cacheDir: '/cache',
    caFiles: [],
  });
});

test('size, masquerade name, token servers and tag lifetime come from the spec', (t) => {
  const cache = cacheMirrorOf(
    mirror({
      upstreamUrl: 'gcr.io',
      masqueradeUrl: 'images.example:5000',
      cache: { tagTTL: '5m' },
      tokenHosts: ['auth.other.example'],
      volumeClaimTemplate: { spec: { resources: { requests: { storage: '1Gi' } } } },
    }),
    { ...place, credentials: [{ prefix: '', dir: '/credentials' }] },
  );
  t.is(cache.masquerade, 'images.example:5000');
  t.is(cache.tagTtlSeconds, 300);
  t.deepEqual(cache.tokenHosts, ['auth.other.example']);
  t.is(cache.maxSizeMiB, 819);
  t.deepEqual(cache.credentials, [{ prefix: '', dir: '/credentials' }]);
});

function mirror(spec: object): RegistryMirror {
  const parsed = registryMirrorSchema.parse({ spec });
  return {
    apiVersion: 'k8s.osp.tech/v1',
    kind: 'RegistryMirror',
    metadata: { name: 'a' },
    spec: parsed.spec,
  };
}
