import test from 'ava';
import { circlesOf } from '../../../../src/image/rules/circles.ts';

test('what leads into a circle is not on it', (t) => {
  const rules = { into: 'a', a: 'b', b: 'c', c: 'a', self: 'self', x: 'y', y: 'z' };
  const circles = circlesOf(new Map(Object.entries(rules).map(([from, to]) => [from, { to }])));
  t.deepEqual([...circles].sort(), ['a', 'b', 'c', 'self']);
});

test('a long chain takes no longer than it is', (t) => {
  const rules = new Map(Array.from({ length: 50_000 }, (_, index) => [`${index}`, { to: `${index + 1}` }]));
  t.is(circlesOf(rules).size, 0);
});
