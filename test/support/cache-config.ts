/** Cache configurations for tests. */
import { parseUpstream } from '../../src/api/upstream.ts';
import { type CacheConfig, type CacheMirror, defaultSliceSizeKiB } from '../../src/cache/cache-config.ts';

/** A mirror of `upstreamUrl` as a cache pod has it, with what the test cares for changed. */
export function cacheMirror(
  name: string,
  upstreamUrl: string,
  changes: Partial<CacheMirror> = {},
): CacheMirror {
  const upstream = parseUpstream(upstreamUrl);
  return {
    name,
    upstream,
    masquerade: `mirror-${upstream.names[0]}`,
    names: upstream.names,
    tagTtlSeconds: 60,
    tagPolicy: 'revalidate',
    access: changes.credentials?.length ? 'shared' : 'publicOnly',
    authTtlSeconds: 300,
    credentials: [],
    redirectHosts: [],
    timeouts: { connect: 5000, headers: 20_000, bodyIdle: 30_000 },
    maxSizeMiB: 16384,
    cacheDir: `/data/cache/${name}`,
    caFiles: ['/config/ca-certificates.crt'],
    ...changes,
  };
}

/** A cache of `mirrors` below `root`. */
export function cacheConfig(
  mirrors: readonly CacheMirror[],
  changes: Partial<CacheConfig> = {},
  root = '',
): CacheConfig {
  return {
    mirrors,
    listen: [{ address: '0.0.0.0', port: 5000 }],
    fallbackListen: [],
    brokerProcesses: 1,
    certificates: [{ certFile: `${root}/tls/tls.crt`, keyFile: `${root}/tls/tls.key`, names: [] }],
    paths: {
      runDir: `${root}/run`,
      tempDir: `${root}/tmp`,
      confDir: `${root}/config`,
      brokerDir: `${root}/data/broker`,
    },
    accessLog: '/dev/stdout',
    workerProcesses: 4,
    sliceSizeKiB: defaultSliceSizeKiB,
    ...changes,
  };
}

/** The configurations whose files are kept in `test/unit/cache/golden`, by folder. */
export const goldenConfigs: Readonly<Record<string, CacheConfig>> = {
  pod: cacheConfig(
    [
      cacheMirror('hub', 'docker.io', {
        names: [
          'docker.io',
          'registry-1.docker.io',
          '10.96.0.7',
          'fd00::7',
          'registry-mirror-hub.default.svc',
        ],
        credentials: [{ prefix: '', dir: '/credentials' }],
        access: 'shared',
        inactiveSeconds: 604_800,
      }),
    ],
    {
      fallbackListen: [
        { address: '0.0.0.0', port: 5001 },
        { address: '::', port: 5001 },
      ],
      peers: {
        listen: [{ address: '0.0.0.0', port: 5002 }],
        replicas: [{ name: 'registry-mirror-hub-0', host: 'registry-mirror-hub-0.test', port: 5002 }],
        commonName: 'registry-mirror-hub-peers',
        serverName: 'registry-mirror-hub',
        certFile: '/tls/peer.crt',
        keyFile: '/tls/peer.key',
        caFile: '/tls/peer-ca.crt',
      },
      clientCaFile: '/tls/client-ca.crt',
      brokerProcesses: 2,
      listen: [
        { address: '0.0.0.0', port: 5000 },
        { address: '::', port: 5000 },
      ],
      certificates: [
        { certFile: '/tls/tls.crt', keyFile: '/tls/tls.key', names: [] },
        { certFile: '/tls-given/tls.crt', keyFile: '/tls-given/tls.key', names: ['mirror-docker.io'] },
      ],
    },
  ),
  standalone: cacheConfig(
    [
      cacheMirror('hub', 'docker.io'),
      cacheMirror('hub-through-harbor', 'harbor.example/hub', { masquerade: 'hub.harbor.example' }),
      cacheMirror('harbor', 'harbor.example', { maxSizeMiB: 100, tagTtlSeconds: 5, access: 'passThrough' }),
      cacheMirror('ported', 'http://registry.example:5000', { masquerade: 'default:5443' }),
    ],
    { listen: [{ address: '127.0.0.1', port: 5443 }], user: 'root', accessLog: '/data/access.log' },
  ),
};
