import test from 'ava';
import { addressKind, mayLeadTo } from '../../../src/registry/address.ts';

for (const [address, kind] of [
  ['93.184.216.34', 'public'],
  ['2606:2800:220:1::1', 'public'],
  ['127.0.0.1', 'loopback'],
  ['127.255.255.254', 'loopback'],
  ['::1', 'loopback'],
  ['10.1.2.3', 'private'],
  ['172.16.0.1', 'private'],
  ['172.32.0.1', 'public'],
  ['192.168.1.1', 'private'],
  ['100.64.0.1', 'private'],
  ['100.128.0.1', 'public'],
  ['fd12::1', 'private'],
  ['fec0::1', 'private'],
  ['169.254.1.1', 'linkLocal'],
  ['fe80::1%eth0', 'linkLocal'],
  ['169.254.169.254', 'metadata'],
  ['168.63.129.16', 'metadata'],
  ['100.100.100.200', 'metadata'],
  ['fd00:ec2::254', 'metadata'],
  ['0.0.0.0', 'unspecified'],
  ['0.1.2.3', 'unspecified'],
  ['::', 'unspecified'],
  ['224.0.0.1', 'multicast'],
  ['ff02::1', 'multicast'],
  ['255.255.255.255', 'reserved'],
  ['192.0.2.1', 'reserved'],
  ['::ffff:127.0.0.1', 'loopback'],
  ['::ffff:7f00:1', 'loopback'],
  ['::ffff:169.254.169.254', 'metadata'],
  ['::ffff:93.184.216.34', 'public'],
  ['::10.0.0.1', 'private'],
  ['64:ff9b::a00:1', 'private'],
  ['64:ff9b::5db8:d822', 'public'],
  ['2002:7f00:1::', 'loopback'],
  ['2002:a9fe:a9fe::1', 'metadata'],
  ['', 'reserved'],
  ['example.com', 'reserved'],
] as const) {
  test(`${address || 'nothing'} is ${kind}`, (t) => {
    t.is(addressKind(address), kind);
  });
}

test('a redirect may lead to public addresses and to the upstream’s own kind, never to metadata services', (t) => {
  t.true(mayLeadTo('public', undefined));
  t.true(mayLeadTo('public', 'private'));
  t.true(mayLeadTo('private', 'private'));
  t.true(mayLeadTo('loopback', 'loopback'));
  t.false(mayLeadTo('loopback', 'private'));
  t.false(mayLeadTo('private', 'public'));
  t.false(mayLeadTo('linkLocal', undefined));
  t.false(mayLeadTo('metadata', 'metadata'));
  t.false(mayLeadTo('unspecified', 'unspecified'));
});
