/** The three files a cache runs from, as texts. The main file of this folder: used by `src/operator` and `src/standalone`. */
import type { BrokerConfig, BrokerMirror } from './broker/broker-config.ts';
import {
  brokerSocket,
  type CacheConfig,
  type CacheMirror,
  localSocket,
  nginxPidFile,
  type Peers,
  requestLog,
} from './cache-config.ts';
import { defaultView, nginxView } from './nginx-view.ts';
import { renderTemplate } from './render.ts';

export type CacheFileName = 'nginx.conf' | 'default.conf' | 'broker.json';

/** Returns all files of `confDir` by name. None holds a secret. */
export function cacheFiles(config: CacheConfig): Record<CacheFileName, string> {
  return {
    'nginx.conf': renderNginxConf(config),
    'default.conf': renderDefaultConf(config),
    'broker.json': `${JSON.stringify(brokerConfigOf(config), null, 2)}\n`,
  };
}

/** nginx's main file: process, temporary folders, and the include of `confDir/default.conf`. */
export function renderNginxConf(config: CacheConfig): string {
  return renderTemplate('nginx.conf', nginxView(config));
}

/** Everything in nginx's http context: caches, choice of the mirror, servers. */
export function renderDefaultConf(config: CacheConfig): string {
  return renderTemplate('default.conf', defaultView(config));
}

/** What the broker is told. */
export function brokerConfigOf(config: CacheConfig): BrokerConfig {
  const { mirrors, paths, sliceSizeKiB, brokerProcesses, peers, metricsListen, certificates } = config;
  return {
    sockets: Array.from({ length: brokerProcesses }, (_, index) => brokerSocket(paths, index)),
    localSocket: localSocket(paths),
    requestLog: requestLog(paths),
    nginxPidFile: nginxPidFile(paths),
    stateDir: paths.brokerDir,
    sliceBytes: sliceSizeKiB * 1024,
    ...(metricsListen && { metricsListen }),
    certificateFiles: certificates.map(({ certFile }) => certFile),
    ...(peers && { peers: peersOf(peers) }),
    mirrors: mirrors.map(brokerMirrorOf),
  };
}

function peersOf({ listen: _nginx, ...peers }: Peers): BrokerConfig['peers'] {
  return peers;
}

function brokerMirrorOf(mirror: CacheMirror): BrokerMirror {
  const { masquerade, names: _selectors, inactiveSeconds: _nginx, ...rest } = mirror;
  return { ...rest, masquerade };
}
