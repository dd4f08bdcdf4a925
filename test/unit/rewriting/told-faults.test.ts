import test from 'ava';
import fc from 'fast-check';
import { compileRules } from '../../../src/image/rules/table.ts';
import { faultsToTell, newFaults, type RuleFault, ruleFaults } from '../../../src/rewriting/told-faults.ts';

const faultsOf = (...lines: string[]) =>
  ruleFaults(compileRules({ imageswap: { map: ['default::', ...lines].join('\n') } }));
const messages = (faults: readonly RuleFault[]) => faults.map(({ message }) => message);

test('a fault is told with its line, and one of the whole map without', (t) => {
  t.deepEqual(messages(faultsOf('quay.io::r.io', 'nonsense')), ['line 3: expected KEY::VALUE']);
  const whole = ruleFaults(compileRules({ imageswap: { map: 'quay.io::r.io' } }));
  t.deepEqual(messages(whole), ['without a line default:: no registry line is in force']);
});

test('registries that rules lead to have faults too', (t) => {
  const gilly = { registry: 'no registry', exclude: [], keepSource: false };
  t.deepEqual(messages(ruleFaults(compileRules({ gilly, imageswap: { legacyPrefix: 'A b' } }))), [
    'imageswap LEGACY: expected the beginning of an image reference, got "A b"',
    'gilly: expected a registry as host[:port][/path], got "no registry"',
  ]);
});

test('a fault that stays is not new, wherever its line stands meanwhile', (t) => {
  const before = faultsOf('nonsense', '[EXACT]a::b', '[EXACT]b::c', 'x.io::y.io', 'y.io::x.io');
  t.true(before.length > 3);
  const after = faultsOf('# more', '', 'nonsense', '[EXACT]a::b', '[EXACT]b::c', 'x.io::y.io', 'y.io::x.io');
  t.deepEqual(newFaults(before, after), []);
  t.deepEqual(newFaults(after, before), []);
});

test('another line with the same fault is new, and of two alike the second one', (t) => {
  t.deepEqual(messages(newFaults(faultsOf('nonsense'), faultsOf('rubbish'))), [
    'line 2: expected KEY::VALUE',
  ]);
  const twice = newFaults(faultsOf('nonsense'), faultsOf('nonsense', 'nonsense'));
  t.deepEqual(messages(twice), ['line 3: expected KEY::VALUE']);
});

test('what is mended and comes back is new', (t) => {
  const broken = faultsOf('nonsense');
  const mended = faultsOf('quay.io::r.io');
  const first = faultsToTell([], broken);
  const second = faultsToTell(first.told, mended);
  t.deepEqual(second, { tell: [], told: [], more: 0 });
  t.deepEqual(messages(faultsToTell(second.told, broken).tell), ['line 2: expected KEY::VALUE']);
});

test('of very many faults some are told, and the others when those are mended', (t) => {
  const lines = Array.from({ length: 10_000 }, (_, index) => `nonsense-${index}`);
  const first = faultsToTell([], faultsOf(...lines), 20);
  t.is(first.tell.length, 20);
  t.is(first.more, 9_980);
  const again = faultsToTell(first.told, faultsOf(...lines), 20);
  t.deepEqual([again.tell, again.more], [[], 9_980]);
  const mended = faultsToTell(again.told, faultsOf(...lines.slice(5)), 20);
  t.deepEqual(
    messages(mended.tell),
    [20, 21, 22, 23, 24].map((index) => `line ${index - 3}: expected KEY::VALUE`),
  );
  t.is(mended.more, 9_975);
});

test('each fault is told once while it stays, whatever changes around it', (t) => {
  const faults = fc.array(fc.constantFrom('a', 'b', 'c', 'd'), { maxLength: 5 });
  fc.assert(
    fc.property(fc.array(faults, { minLength: 1, maxLength: 6 }), (states) => {
      let told: readonly RuleFault[] = [];
      let before: readonly RuleFault[] = [];
      for (const state of states) {
        const now = state.map((identity) => ({ identity, message: identity }));
        const telling = faultsToTell(told, now, 3);
        t.is(telling.told.length + telling.more, now.length);
        t.true(telling.told.length <= 3);
        t.deepEqual(newFaults(now, telling.told), [], 'nothing is told that is not there');
        t.deepEqual(newFaults(now, telling.tell), []);
        if (before.length <= 3 && now.length <= 3)
          t.deepEqual(telling.tell, newFaults(before, now), 'few faults are told when they come');
        ({ told } = telling);
        before = now;
      }
    }),
  );
});
