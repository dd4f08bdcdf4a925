/** What kind of place an IP address is (IANA special-purpose registries, RFC 6890). Pure. */
import { BlockList, isIP, isIPv4 } from 'node:net';

export type AddressKind =
  | 'public'
  | 'loopback'
  | 'private'
  | 'linkLocal'
  | 'metadata'
  | 'unspecified'
  | 'multicast'
  | 'reserved';

/** In order: the first list that holds an address names its kind. Metadata services come first: some lie in public space. */
const kinds: readonly (readonly [AddressKind, readonly string[]])[] = [
  ['metadata', ['169.254.169.254/32', '169.254.170.2/32', '100.100.100.200/32', '168.63.129.16/32']],
  ['metadata', ['192.0.0.192/32', 'fd00:ec2::254/128', 'fd20:ce::254/128']],
  ['loopback', ['127.0.0.0/8', '::1/128']],
  ['unspecified', ['0.0.0.0/8', '::/128']],
  ['linkLocal', ['169.254.0.0/16', 'fe80::/10']],
  ['private', ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10', 'fc00::/7', 'fec0::/10']],
  ['multicast', ['224.0.0.0/4', 'ff00::/8']],
  ['reserved', ['192.0.0.0/24', '192.0.2.0/24', '198.18.0.0/15', '198.51.100.0/24', '203.0.113.0/24']],
  ['reserved', ['240.0.0.0/4', '100::/64', '2001:db8::/32', '3fff::/20', '5f00::/16']],
];

const lists = kinds.map(([kind, ranges]) => [kind, blockList(ranges)] as const);

/** Takes an address without brackets; IPv4 inside IPv6 (mapped, NAT64, 6to4) counts as what it leads to. */
export function addressKind(address: string): AddressKind {
  const bare = address.replace(/%.*$/, '');
  if (isIP(bare) === 0) return 'reserved';
  const plain = embeddedIPv4(bare) ?? bare;
  const family = isIPv4(plain) ? 'ipv4' : 'ipv6';
  return lists.find(([, list]) => list.check(plain, family))?.[0] ?? 'public';
}

/** Returns whether something outside may send us to this kind of address, given the kind of its own address. */
export function mayLeadTo(target: AddressKind, own: AddressKind | undefined): boolean {
  if (target === 'public') return true;
  return target === own && target !== 'metadata' && target !== 'multicast' && target !== 'unspecified';
}

/** RFC 4291 section 2.5.5 (mapped, compatible), RFC 6052 (64:ff9b::/96, 64:ff9b:1::/48 by its last 32 bits), RFC 3056 (2002::/16). */
function embeddedIPv4(address: string): string | undefined {
  if (isIPv4(address)) return undefined;
  const words = expand(address);
  const head = words.slice(0, 6).join(':');
  if (words[0] === 0x2002) return dotted(words[1], words[2]);
  const translated = words[0] === 0x64 && words[1] === 0xff9b;
  const compatible = head === '0:0:0:0:0:0' && (words[6] ?? 0) !== 0;
  return translated || compatible || head === '0:0:0:0:0:65535' ? dotted(words[6], words[7]) : undefined;
}

function expand(address: string): number[] {
  // The URL parser writes an IPv6 address in its canonical form, a dotted tail as two hexadecimal words.
  const canonical = new URL(`http://[${address}]`).hostname.slice(1, -1);
  const [left = '', right] = canonical.split('::');
  const before = left === '' ? [] : left.split(':');
  const after = right === undefined || right === '' ? [] : right.split(':');
  const zeros = right === undefined ? [] : Array<string>(8 - before.length - after.length).fill('0');
  return [...before, ...zeros, ...after].map((word) => Number.parseInt(word, 16));
}

function dotted(high = 0, low = 0): string {
  return [high >> 8, high & 255, low >> 8, low & 255].join('.');
}

function blockList(ranges: readonly string[]): BlockList {
  const list = new BlockList();
  for (const range of ranges) {
    const [network = '', prefix = ''] = range.split('/');
    list.addSubnet(network, Number(prefix), isIPv4(network) ? 'ipv4' : 'ipv6');
  }
  return list;
}
