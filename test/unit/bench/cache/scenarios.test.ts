import test from 'ava';
import { parseOptions } from '../../../../bench/cache/options.ts';
import { scenariosOf, schedule } from '../../../../bench/cache/scenarios.ts';

test('every round measures every scenario with every contender next to each other, and begins with another one', (t) => {
  const scenarios = scenariosOf({ quick: false, only: ['cold-1', 'cold-24'] });
  const order = schedule(scenarios, 3, 2).map(
    ({ round, scenario, contender }) => `${round} ${scenario.name} ${contender}`,
  );
  t.deepEqual(order.slice(0, 6), [
    '0 cold-1 0',
    '0 cold-1 1',
    '0 cold-1 2',
    '0 cold-24 0',
    '0 cold-24 1',
    '0 cold-24 2',
  ]);
  t.deepEqual(order.slice(6, 9), ['1 cold-1 1', '1 cold-1 2', '1 cold-1 0']);
});

test('a scenario may be measured in fewer rounds than the others', (t) => {
  const scenarios = scenariosOf({ quick: false, only: ['limited', 'tag'] });
  const names = schedule(scenarios, 1, 3).map(({ scenario }) => scenario.name);
  t.deepEqual(names, ['tag', 'limited', 'tag', 'tag']);
});

test('a scenario may be measured several times in each round, each a round of its own', (t) => {
  const scenarios = scenariosOf({ quick: false, only: ['warm-24'] });
  t.deepEqual(
    schedule(scenarios, 1, 2).map(({ round }) => round),
    [0, 1, 2, 3, 4, 5],
  );
});

test('a quick run has the same scenarios with fewer bytes and clients, and a Range that lies in its blob', (t) => {
  const [full, quick] = [false, true].map((quick) => scenariosOf({ quick, only: [] }));
  t.deepEqual(
    quick!.map(({ name }) => name),
    full!.map(({ name }) => name),
  );
  t.true(quick!.every(({ clients }) => clients <= 60));
  for (const { range, mebibytes } of quick!) t.true((range?.end ?? 0) < mebibytes * 1024 * 1024);
});

test('a scenario that does not exist is refused by name', (t) => {
  t.throws(() => scenariosOf({ quick: false, only: ['cold-1', 'hot'] }), { message: /no scenario hot$/ });
});

test('three rounds are measured, one when it must be quick, or as many as are asked for', (t) => {
  t.is(parseOptions([]).rounds, 3);
  t.is(parseOptions(['--quick']).rounds, 1);
  t.is(parseOptions(['--quick', '--rounds', '5']).rounds, 5);
  t.throws(() => parseOptions(['--rounds', '0']), { message: /--rounds/ });
  t.deepEqual(parseOptions(['--only', 'tag,down']).only, ['tag', 'down']);
});
