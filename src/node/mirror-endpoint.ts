/** Where a node's runtimes dial a mirror, as each of them writes it. Pure. */
import { isIP, isIPv6 } from 'node:net';
import { splitHostPort } from '../api/upstream.ts';
import type { CaBundle } from './ca-bundle.ts';
import type { MirrorEndpoint } from './containers-registries.ts';
import type { HostsEntry } from './hosts-file.ts';
import type { WiredMirror } from './options.ts';

/** `http://127.0.0.1:PORT` or `https://ADDRESS`; undefined where there is none. */
export function endpointUrl(mirror: WiredMirror): string | undefined {
  const location = locationOf(mirror);
  if (location === undefined) return undefined;
  return mirror.endpoint === 'loopback' ? `http://${location}` : `https://${location}`;
}

/** The same for registries.conf. */
export function mirrorEndpoint(
  mirror: WiredMirror,
  bundle: CaBundle | undefined,
): MirrorEndpoint | undefined {
  const location = locationOf(mirror);
  if (location === undefined) return undefined;
  return mirror.endpoint === 'loopback'
    ? { kind: 'loopback', location }
    : { kind: 'service', location, bundle };
}

/** The lines of a hosts file that lead `names` to the mirror. A port is no part of a line; a name that is an address needs none. */
export function hostsEntries(mirror: WiredMirror, names: readonly string[]): HostsEntry[] {
  const hosts = names.map((name) => splitHostPort(name).host);
  const resolved = [...new Set(hosts)].filter((host) => isIP(host.replace(/^\[(.*)\]$/, '$1')) === 0);
  return resolved.flatMap((name) => mirror.addresses.map((address) => ({ address, name })));
}

function locationOf({ endpoint, port, addresses }: WiredMirror): string | undefined {
  if (endpoint === 'loopback') return port === undefined ? undefined : `127.0.0.1:${port}`;
  const [address] = addresses;
  return address !== undefined && isIPv6(address) ? `[${address}]` : address;
}
