/** What the API server takes from the policy: its cost budgets, and its version v1beta1. */
import assert from 'node:assert/strict';
import test from 'ava';
import { compileRules, type RuleSources, rewriteImage, sourceNames } from '../../src/image/rules/table.ts';
import { compileRuleSet } from '../../src/operator/rewriting/policy/compile.ts';
import { imagesInBudget, longestImage } from '../../src/operator/rewriting/policy/limits.ts';
import { parametersObject } from '../../src/operator/rewriting/policy/parameters.ts';
import { planPolicy } from '../../src/operator/rewriting/policy/plan.ts';
import { type ControlPlane, startControlPlane } from '../support/control-plane.ts';
import { eventually } from '../support/eventually.ts';
import type { Live } from '../support/operator-world.ts';
import { defaultSettings, type Pod } from '../support/rewriting/engine.ts';
import { PolicyEngine } from '../support/rewriting/policy-engine.ts';

let plane: ControlPlane;
let policy: PolicyEngine;

test.before(async (t) => {
  t.timeout(900_000, 'the programs may have to be built first');
  plane = await startControlPlane({
    apiServerFlags: ['--runtime-config=admissionregistration.k8s.io/v1beta1=true'],
  });
  await plane.applyCrd('crds/rewriterules.k8s.osp.tech.yaml');
  policy = new PolicyEngine(plane);
});
test.after.always(async () => {
  await plane?.stop();
});

/** A name of so many characters and a digest. */
function longImage(length: number, at: number): string {
  let name = `host.x:5000/${at}`;
  while (name.length < length - 9) name += '/abcdefgh';
  return `${name.padEnd(length, 'x')}@sha256:${'a'.repeat(64)}`;
}

function podOf(images: readonly string[]): Pod {
  return { spec: { containers: images.map((image, at) => ({ name: `c${at}`, image })) } };
}

/** The largest set that still is the policy's. */
function largest(sourcesOf: (count: number) => RuleSources): {
  readonly sources: RuleSources;
  readonly count: number;
} {
  let [fits, tooMany] = [1, 5_000];
  while (tooMany - fits > 1) {
    const middle = Math.floor((fits + tooMany) / 2);
    const found = compileRuleSet(compileRules(sourcesOf(middle)), { sources: sourceNames });
    if ('rules' in found) fits = middle;
    else tooMany = middle;
  }
  return { sources: sourcesOf(fits), count: fits };
}

const numbers = (count: number) => Array.from({ length: count }, (_, at) => at);
const sets: Readonly<Record<string, (count: number) => RuleSources>> = {
  'patterns that match last': (count) => ({
    imageswap: {
      map: [
        ...numbers(count).map((at) => `[REPLACE]*/nowhere-${at}/*@sha256:?*::t.local`),
        '[REPLACE]host*@sha256*a::t.local',
      ].join('\n'),
    },
  }),
  wildcards: (count) => ({
    imageswap: { map: `default::t.io\nnoswap_wildcards::${numbers(count).map((at) => `/nowhere-${at}`)}` },
  }),
  exclusions: (count) => ({
    gilly: { registry: 't.io', exclude: numbers(count).map((at) => `*.nowhere-${at}.*`), keepSource: true },
  }),
  'targets of as many lengths': (count) => ({
    imageswap: {
      map: `default::t.io\n${numbers(Math.min(count, 200))
        .map((at) => `host-${at}.nowhere::t.io/${'x'.repeat(at + 1)}`)
        .join('\n')}`,
    },
  }),
  'a glued prefix': () => ({ imageswap: { legacyPrefix: 't.io/p-' } }),
};

for (const [what, sourcesOf] of Object.entries(sets)) {
  test.serial(
    `a pod with ${imagesInBudget} of the longest images is within the budget: ${what}`,
    async (t) => {
      const { sources, count } = largest(sourcesOf);
      // The longest that can be, and some that still can grow.
      const images = numbers(imagesInBudget).map((at) => longImage(at % 5 === 4 ? 225 : 255, at));
      t.is(images[0]?.length, longestImage);
      const table = compileRules(sources);
      const expected = images.map((image) => rewriteImage(table, image, { namespace: 'team' }).result);
      const [answer] = await policy.answers([{ sources, images }]);
      t.deepEqual(answer, expected);
      const rewritten = expected.filter((image, at) => image !== images[at]).length;
      t.true(rewritten >= 10);
      t.log({ rules: count, rewritten });
    },
  );
}

test.serial('a pod with more images than the budget is for passes as it is', async (t) => {
  const sources = { imageswap: { map: 'default::mirror.local' } };
  const images = (count: number) =>
    numbers(count).map((at) => `quay.io/organisation/application-${at}:v1.2.3`);
  const asked = [300, 600, 1_200, 2_400].map((count) => ({ sources, images: images(count) }));
  const outcome: Record<number, string> = {};
  for (const { images: some } of asked) {
    await policy.answers([{ sources, images: ['nginx'] }]);
    const admitted = await policy.create('set-0', podOf(some));
    const rewritten = admitted.spec.containers.filter(({ image }) =>
      image.startsWith('mirror.local/'),
    ).length;
    t.true(rewritten === 0 || rewritten === some.length, 'all or none');
    outcome[some.length] = rewritten === 0 ? 'passes unchanged' : 'rewritten';
  }
  t.is(outcome[300], 'rewritten');
  t.is(outcome[2_400], 'passes unchanged');
  t.log(outcome);
});

test.serial('objects of v1beta1 are taken, and rewrite', async (t) => {
  const sources = { gilly: { registry: 'my.repo', exclude: [], keepSource: false } };
  const {
    policy: object,
    bindings,
    parameters,
  } = planPolicy({
    table: compileRules(sources),
    namespaces: [],
    settings: defaultSettings,
    served: 'v1beta1',
  });
  t.is(object?.apiVersion, 'admissionregistration.k8s.io/v1beta1');
  for (const each of parameters) await plane.apply(parametersObject(each) as Live);
  for (const each of [object, ...bindings]) await plane.apply(each as Live);
  await eventually(async () => {
    const { spec } = await policy.create('default', podOf(['nginx']));
    assert.equal(spec.containers[0]?.image, 'my.repo/nginx');
  });
  t.pass();
});
