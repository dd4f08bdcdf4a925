import { isIPv6 } from 'node:net';
import test from 'ava';
import fc from 'fast-check';
import { ipv6Pattern } from '../../../src/api/ipv6.ts';

const pattern = new RegExp(`^(${ipv6Pattern})$`);

test('what is an IPv6 address, the pattern and Node agree upon', (t) => {
  const part = fc.constantFrom('', '0', 'a1', 'ffff', '12345', 'g', '10.0.0.1', '256.1.1.1', '1.2.3');
  const text = fc.oneof(
    fc.ipV6(),
    fc.array(part, { minLength: 2, maxLength: 10 }).map((parts) => parts.join(':')),
    fc.stringMatching(/^[0-9a-f:.]{2,20}$/),
  );
  fc.assert(
    fc.property(text, (sample) => {
      t.is(pattern.test(sample.toLowerCase()), isIPv6(sample), sample);
    }),
    { numRuns: 3000 },
  );
});

for (const address of ['::', '::1', 'fd00::', '1:2:3:4:5:6:7::', '::2:3:4:5:6:7:8', '1::3:4:5:6:7:8']) {
  test(`${address} is an IPv6 address`, (t) => {
    t.regex(address, pattern);
  });
}
