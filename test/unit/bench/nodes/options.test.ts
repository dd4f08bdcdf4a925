import test from 'ava';
import { parseOptions } from '../../../../bench/nodes/options.ts';
import { chosen, scenarios } from '../../../../bench/nodes/scenarios.ts';

test('quick is one round with a short limit, and both can be said', (t) => {
  t.like(parseOptions([]), { quick: false, rounds: 3, limit: 60, only: [] });
  t.like(parseOptions(['--quick']), { rounds: 1, limit: 15 });
  t.like(parseOptions(['--quick', '--rounds', '2', '--limit', '90']), { rounds: 2, limit: 90 });
  for (const wrong of ['0', '-1', 'x', '1.5'])
    t.throws(() => parseOptions(['--rounds', wrong]), { message: /--rounds/ });
});

test('scenarios are chosen by their names, which are unique', (t) => {
  t.is(chosen([]), scenarios);
  t.deepEqual(
    chosen(['lost', 'healthy']).map(({ name }) => name),
    ['healthy', 'lost'],
  );
  t.throws(() => chosen(['lots']), { message: /no scenario "lots"/ });
  t.is(new Set(scenarios.map(({ name }) => name)).size, scenarios.length);
});
