import test from 'ava';
import { compileRules, type RuleSources, sourceNames } from '../../../../../src/image/rules/table.ts';
import { compileRuleSet } from '../../../../../src/operator/rewriting/policy/compile.ts';
import { largestRules } from '../../../../../src/operator/rewriting/policy/limits.ts';

function unfit(sources: RuleSources) {
  const found = compileRuleSet(compileRules(sources), { namespace: 'team', sources: sourceNames });
  return 'unfit' in found ? found.unfit : undefined;
}

const patterns = (count: number) => ({
  imageswap: {
    map: Array.from({ length: count }, (_, at) => `[REPLACE]*.host-${at}.example/*::t.local`).join('\n'),
  },
});
const maps = (lines: readonly { from: string; to: string }[]) => ({
  imageMaps: [{ namespace: 'team', name: 'boot', creationTimestamp: '', map: lines }],
});

test('as many patterns as fit the budget of a pod with 50 of the longest images', (t) => {
  t.is(unfit(patterns(40)), undefined);
  t.like(unfit(patterns(80)), { reason: 'TooCostly' });
  t.regex(
    unfit(patterns(80))?.message ?? '',
    /^patterns may cost \d+ units for one image, expected at most 20000/,
  );
});

test('beginnings alone cost little', (t) => {
  const map = Array.from({ length: 300 }, (_, at) => `[REPLACE]host-${at}.example/*::t.local`).join('\n');
  t.is(unfit({ imageswap: { map } }), undefined);
});

test('wildcards and exclusions count as well', (t) => {
  const parts = (count: number) => Array.from({ length: count }, (_, at) => `part-${at}`);
  t.is(unfit({ imageswap: { map: `default::d.local\nnoswap_wildcards::${parts(200)}` } }), undefined);
  t.like(unfit({ imageswap: { map: `default::d.local\nnoswap_wildcards::${parts(400)}` } }), {
    reason: 'TooCostly',
  });
  const gilly = (exclude: string[]) => ({ gilly: { registry: 'my.repo', keepSource: false, exclude } });
  t.like(unfit(gilly(parts(200).map((part) => `*.${part}.example`))), { reason: 'TooCostly' });
  t.is(unfit(gilly(parts(20_000).map((part) => `${part}.example`))), undefined, 'registries are looked up');
});

test('rules that are more than an object may have are too large', (t) => {
  const lines = Array.from({ length: 20_000 }, (_, at) => ({
    from: `quay.io/organisation/application-${at}:1.0.0`,
    to: `registry.example.com/mirror/organisation/application-${at}:1.0.0`,
  }));
  t.is(unfit(maps(lines.slice(0, 10_000))), undefined);
  t.like(unfit(maps(lines)), { reason: 'TooLarge' });
  t.regex(unfit(maps(lines))?.message ?? '', new RegExp(`expected at most ${largestRules}$`));
});

test('texts that server-side apply would not take, or take for others, are not written', (t) => {
  const from = (text: string) => unfit(maps([{ from: text, to: 'x/y' }]));
  t.is(from('x'.repeat(990)), undefined);
  t.regex(from('x'.repeat(1_000))?.message ?? '', /^an image has 1000 characters, expected at most 1000/);
  t.is(from('x'.repeat(1_025)), undefined, 'no rule is for such an image');
  t.regex(from('a\u2028b')?.message ?? '', /found U\+2028/);
  t.regex(from('a\u007fb')?.message ?? '', /found U\+007F/);
  t.is(from('é\u{1f600}'), undefined);
  t.is(from('a\u0001b'), undefined);
});
