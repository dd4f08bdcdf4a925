import test from 'ava';
import { brokerConfigOf } from '../../../../src/cache/cache-files.ts';
import { createAuthority, issueLeaf } from '../../../../src/cache/tls/authority.ts';
import { covers } from '../../../../src/cache/tls/certificate.ts';
import { leafNames, replicaIdentity } from '../../../../src/operator/certificates/leaf.ts';
import { podCacheConfig } from '../../../../src/operator/registry-mirror/cache-view.ts';
import { statefulSetView } from '../../../../src/resources/stateful-set.ts';
import { mirrorOf, settingsOf } from '../../resources/fixtures.ts';

const settings = settingsOf({ NAMESPACE: 'mirrors' });
const configOf = (spec: object, clusterIPs = ['10.96.0.7']) =>
  podCacheConfig({ mirror: mirrorOf({ upstreamUrl: 'quay.io', ...spec }), settings }, { clusterIPs });

test('Replicas know each other by names that their certificates have, also one that is alone', async (t) => {
  t.is(configOf({ replicas: 1 }).peers?.replicas.length, 1);
  const { peers } = configOf({ replicas: 3 });
  const authority = await createAuthority({ commonName: 'test', days: 1 });
  const names = leafNames(mirrorOf({ upstreamUrl: 'quay.io' }), 'mirrors', ['10.96.0.7']);
  const { certificatePem } = await issueLeaf(authority, { names, days: 1, ...replicaIdentity('hub') });
  t.true(covers(certificatePem, peers?.serverName ?? ''));
  for (const { host } of peers?.replicas ?? []) t.true(covers(certificatePem, host), host);
  t.is(peers?.commonName, replicaIdentity('hub').commonName);
  t.is(peers?.caFile, '/etc/registry-mirror/tls/peer-ca.crt');
});

test('Every address is listened on in the families that the Service has', (t) => {
  const { listen, fallbackListen, peers, metricsListen } = configOf({}, ['10.96.0.7', 'fd00::7']);
  for (const addresses of [listen, fallbackListen, peers?.listen]) {
    t.deepEqual(
      addresses?.map(({ address }) => address),
      ['0.0.0.0', '::'],
    );
  }
  t.deepEqual(metricsListen, { address: '::', port: 9090 });
  t.deepEqual(configOf({}).metricsListen, { address: '0.0.0.0', port: 9090 });
});

test('Clients are asked for certificates where the mirror says so, or where only forwarders read what its credentials can', (t) => {
  const authorities = '/etc/registry-mirror/tls/peer-ca.crt';
  const forwarded = { credentialsSecret: 'robot', nodes: { wire: 'transparent' } };
  t.is(configOf({ nodes: { clientCertificate: true } }).clientCaFile, authorities);
  t.is(configOf(forwarded).clientCaFile, authorities);
  for (const spec of [
    {},
    { credentialsSecret: 'robot' },
    { nodes: { wire: 'transparent' } },
    { ...forwarded, nodes: { wire: 'transparent', clientCertificate: false } },
    { ...forwarded, nodes: { wire: 'transparent', endpoint: 'service' } },
  ]) {
    t.is(configOf(spec).clientCaFile, undefined, JSON.stringify(spec));
  }
});

test('What the broker is told of a mirror is what it says, and the pods have the files for it', (t) => {
  const spec = {
    credentials: [{ secret: 'all' }, { prefix: 'a/b', secret: 'one' }],
    upstreamCA: { name: 'ca' },
    upstreamProxy: 'http://proxy.example:1',
    redirectHosts: ['*.cdn.example'],
    upstreamTimeouts: { connect: '1s', response: '2s', idle: '3s' },
    broker: { processes: 3 },
    cache: { tagPolicy: 'immutable', maxSize: '1Gi', inactive: '2h' },
  };
  const config = configOf(spec);
  t.like(config.mirrors[0], { maxSizeMiB: 1024, inactiveSeconds: 7200, tagPolicy: 'immutable' });
  const broker = brokerConfigOf(config);
  t.is(broker.sockets.length, 3);
  t.like(broker.mirrors[0], {
    egressProxy: { url: 'http://proxy.example:1', noProxy: [] },
    redirectHosts: ['*.cdn.example'],
    timeouts: { connect: 1000, headers: 2000, bodyIdle: 3000 },
  });
  const view = statefulSetView({ mirror: mirrorOf({ upstreamUrl: 'quay.io', ...spec }), settings }, {});
  const folders = view.credentials.mounts.map(({ mountPath }) => mountPath);
  t.deepEqual(
    folders,
    broker.mirrors[0]?.credentials.map(({ dir }) => dir),
  );
  t.deepEqual(view.broker.resources.requests, { cpu: '150m', memory: '384Mi' });
});
