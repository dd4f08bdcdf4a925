/** The text that imageswap reads: one line per mirror. Pure. */
import { certificateObstacle, type MapMirror, mapAddress } from '../../rewriting/services-mirrors.ts';

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

function obstacleOf(
  mirror: MapMirror,
  address: string | undefined,
  separator: ':' | '::',
): string | undefined {
  if (address === undefined) return 'its Service has no cluster IP yet';
  if (mirror.asksCertificate) return certificateObstacle;
  if (mirror.masquerade === 'default') return 'imageswap takes a line for default as one for every image';
  if (mirror.masquerade.includes(':')) return 'a masqueradeUrl with a port makes an invalid image path';
  if (separator === ':' && address.includes(':'))
    return 'an IPv6 cluster IP needs IMAGESWAP_MAP_SEPARATOR=::';
  return undefined;
}

/** Docker Hub under its own name needs a second line, because imageswap gives one-segment names no `library/`. */
function linesOf(mirror: MapMirror, address: string, separator: string): string[] {
  const line = (key: string) => `${key}${separator}${address}/${key}`;
  const hub = mirror.masquerade === 'docker.io';
  return hub ? [line(mirror.masquerade), line('docker.io/library')] : [line(mirror.masquerade)];
}

function byName(a: MapMirror, b: MapMirror): number {
  return a.name < b.name ? -1 : 1;
}
