/** The text that imageswap reads: one line per mirror. Pure. */
import { isIPv6 } from 'node:net';
import { parseUpstream } from '../../api/upstream.ts';

/** A mirror as the map needs it. */
export interface MapMirror {
  /** `metadata.name`; lines are sorted by it. */
  readonly name: string;
  readonly upstreamUrl: string;
  readonly masquerade: string;
  readonly clusterIPs: readonly string[];
}

/** The map, and for each mirror that has no line the reason why. */
export interface ImageswapMap {
  readonly text: string;
  readonly leftOut: ReadonlyMap<string, string>;
}

/** Returns the map of `mirrors` in the dialect of `separator`: `:` for imageswap 1.4 and later, `::` for 1.5 and later. */
export function imageswapMap(mirrors: readonly MapMirror[], separator: ':' | '::'): ImageswapMap {
  const lines = [`default${separator}`];
  const leftOut = new Map<string, string>();
  for (const mirror of [...mirrors].sort(byName)) {
    const address = mapAddress(mirror.clusterIPs);
    const obstacle = obstacleOf(mirror, address, separator);
    if (obstacle !== undefined) leftOut.set(mirror.name, obstacle);
    else lines.push(...linesOf(mirror, address ?? '', separator));
  }
  return { text: `${lines.join('\n')}\n`, leftOut };
}

/** The cluster IP as it stands in image references: IPv4 if there is one; IPv6 in brackets without `::`, which imageswap would split at. */
export function mapAddress(clusterIPs: readonly string[]): string | undefined {
  const address = clusterIPs.find((ip) => !isIPv6(ip)) ?? clusterIPs[0];
  if (address === undefined || !isIPv6(address)) return address;
  const [head = '', tail] = address.split('::');
  const left = head.split(':').filter((part) => part !== '');
  const right = (tail ?? '').split(':').filter((part) => part !== '');
  const zeros = tail === undefined ? 0 : 8 - left.length - right.length;
  return `[${[...left, ...Array<string>(zeros).fill('0'), ...right].join(':')}]`;
}

function obstacleOf(
  mirror: MapMirror,
  address: string | undefined,
  separator: ':' | '::',
): string | undefined {
  if (address === undefined) return 'its Service has no cluster IP yet';
  if (mirror.masquerade.includes(':')) return 'a masqueradeUrl with a port makes an invalid image path';
  if (separator === ':' && address.includes(':'))
    return 'an IPv6 cluster IP needs IMAGESWAP_MAP_SEPARATOR=::';
  return undefined;
}

/** Docker Hub under its own name needs a second line, because imageswap gives one-segment names no `library/`. */
function linesOf(mirror: MapMirror, address: string, separator: string): string[] {
  const line = (key: string) => `${key}${separator}${address}/${key}`;
  const hub = mirror.masquerade === 'docker.io' && parseUpstream(mirror.upstreamUrl).dockerHub;
  return hub ? [line(mirror.masquerade), line('docker.io/library')] : [line(mirror.masquerade)];
}

function byName(a: MapMirror, b: MapMirror): number {
  return a.name < b.name ? -1 : 1;
}
