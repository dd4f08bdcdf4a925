import test from 'ava';
import { addressKind } from '../../../src/registry/address.ts';
import { addressRules } from '../../../src/registry/address-rule.ts';

for (const [address, kind, opens] of [
  ['10.0.0.1', 'private', true],
  ['127.0.0.1', 'loopback', true],
  ['169.254.1.1', 'linkLocal', true],
  ['fe80::1', 'linkLocal', true],
  ['169.254.169.254', 'metadata', false],
  ['fd00:ec2::254', 'metadata', false],
  ['224.0.0.1', 'multicast', false],
  ['0.0.0.0', 'unspecified', false],
  ['240.0.0.1', 'reserved', false],
] as const) {
  test(`a redirect host that the administrator named ${opens ? 'may' : 'may not'} be at ${address}`, (t) => {
    const { foreign } = addressRules(['cdn.test']);
    t.is(addressKind(address), kind);
    t.is(foreign.permitted(kind, 'cdn.test'), opens);
    t.false(foreign.permitted(kind, 'other.test'));
  });
}

for (const [pattern, host, named] of [
  ['cdn.test', 'cdn.test', true],
  ['cdn.test', 'cdn.test.', true],
  ['cdn.test', 'a.cdn.test', false],
  ['*.cdn.test', 'a.cdn.test', true],
  ['*.cdn.test', 'a.b.cdn.test', true],
  ['*.cdn.test', 'cdn.test', false],
  ['*.cdn.test', 'evilcdn.test', false],
  ['10.0.0.1', '10.0.0.1', true],
] as const) {
  test(`${pattern} ${named ? 'names' : 'does not name'} ${host}`, (t) => {
    t.is(addressRules([pattern]).foreign.permitted('private', host), named);
  });
}

test('what opens nothing is the upstream’s own kind of address, once it is known', (t) => {
  const { own, foreign } = addressRules([]);
  t.true(own.permitted('metadata', 'registry.test'));
  t.false(foreign.permitted('private', 'cdn.test'));
  own.learn('private');
  t.true(foreign.permitted('private', 'cdn.test'));
  t.false(foreign.permitted('loopback', 'cdn.test'));
});
