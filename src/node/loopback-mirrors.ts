/** The mirrors that a node offers on its loopback, as the forwarder is told. Pure. */
import { isIPv6 } from 'node:net';
import type { ForwardedMirror } from './forwarder/config.ts';
import type { WiredMirror } from './options.ts';

const plainPort = 443;

/** Those that have a port and addresses to be reached at. */
export function loopbackMirrors(mirrors: readonly WiredMirror[]): ForwardedMirror[] {
  return mirrors.flatMap((mirror) => {
    const { name, port, endpoint, addresses, fallbackPort = plainPort, serverName, caFile } = mirror;
    const { clientCertificate, client } = mirror;
    if (port === undefined || endpoint !== 'loopback' || addresses.length === 0) return [];
    return [
      {
        name,
        port,
        addresses: addresses.map(
          (address) => `${isIPv6(address) ? `[${address}]` : address}:${fallbackPort}`,
        ),
        serverName,
        caFile,
        ...(clientCertificate && client && { clientCertificate: client }),
      },
    ];
  });
}
