import test from 'ava';
import fc from 'fast-check';
import { compareScores, ownerOf } from '../../../../../src/cache/broker/peers/owner.ts';

const object = fc.string({ minLength: 1 });
const names = fc.uniqueArray(fc.string({ minLength: 1 }), { minLength: 1, maxLength: 8 });

test('every replica with the same list names the same owner, whatever the order of its list', (t) => {
  fc.assert(
    fc.property(object, names, fc.integer(), (asked, list, seed) => {
      const shuffled = list.toSorted((one, other) => hash(one, seed) - hash(other, seed));
      t.is(owner(asked, shuffled), owner(asked, list));
      t.true(list.includes(owner(asked, list)));
    }),
  );
});

test('nobody owns anything where there are no replicas', (t) => {
  t.is(ownerOf('object', []), undefined);
});

test('a new replica takes over only what it owns, and a replica that goes gives away only what it had', (t) => {
  fc.assert(
    fc.property(object, names, fc.string({ minLength: 1 }), (asked, list, added) => {
      fc.pre(!list.includes(added));
      const [before, after] = [owner(asked, list), owner(asked, [...list, added])];
      t.true(after === before || after === added);
    }),
  );
});

test('a new replica takes over about 1/N, and all have about as much', (t) => {
  const objects = Array.from({ length: 4000 }, (_, index) => `sha256:${index}`);
  const list = ['m-0', 'm-1', 'm-2', 'm-3'];
  const counts = list.map((name) => objects.filter((asked) => owner(asked, list) === name).length);
  // Five standard deviations of a fair draw are 137.
  for (const count of counts) t.true(Math.abs(count - 1000) < 140, counts.join());
  const moved = objects.filter((asked) => owner(asked, list) !== owner(asked, [...list, 'm-4'])).length;
  t.true(Math.abs(moved - 800) < 130, String(moved));
});

test('along every chain of replicas with lists of their own the score grows: no cycle is possible', (t) => {
  const lists = fc.array(fc.subarray(['a', 'b', 'c', 'd', 'e', 'f']), { minLength: 6, maxLength: 6 });
  fc.assert(
    fc.property(object, lists, fc.nat(5), (asked, views, start) => {
      const all = ['a', 'b', 'c', 'd', 'e', 'f'];
      let at = all[start] ?? '';
      for (let hops = 0; ; hops++) {
        t.true(hops < all.length);
        const next = owner(asked, [...(views[all.indexOf(at)] ?? []), at]);
        if (next === at) return;
        t.true(compareScores(asked, next, at) > 0);
        at = next;
      }
    }),
  );
});

function owner(asked: string, list: readonly string[]): string {
  return (
    ownerOf(
      asked,
      list.map((name) => ({ name })),
    )?.name ?? ''
  );
}

function hash(text: string, seed: number): number {
  return [...text].reduce(
    (sum, letter) => (sum * 31 + (letter.codePointAt(0) ?? 0)) % 997,
    Math.abs(seed) % 997,
  );
}
