/**
 * What the API server takes: an object's size, and what an expression may cost. A policy that costs more is not applied, and nobody is told; so
 * sets that might are the webhook's. The costs are Kubernetes' and CEL's own, for the longest images that are likely. Pure.
 */
import type { RuleSet } from '../../../api/rewrite-rules.ts';
import type { Unfit } from './unfit.ts';

/** A pod with so many images is rewritten whatever the rules: more have only pods that nobody wrote by hand. */
export const imagesInBudget = 50;
/** A name of 255 characters and a digest. */
export const longestImage = 255 + '@sha256:'.length + 64;
/** Of one expression; each variable of the policy is one. */
export const expressionBudget = 1_000_000;
/** Below the 1.5 MiB that etcd takes, with room for metadata and status. */
export const largestRules = 1_400_000;

/** Costs of one image, by variable, before there are rules; measured, and rounded up. */
const base = { matched: 400, parsed: 6_500, gluedParsed: 13_000, named: 2_500 };

const tenth = (length: number) => Math.ceil(length / 10);
/** Of a regular expression on a text: a tenth of the text for every four characters of the expression. */
const matching = (length: number, expression: string) => tenth(length + 1) * Math.ceil(expression.length / 4);
/** Of a text that is looked for in another one. */
const finding = (length: number, part: string) => tenth(length) * Math.max(1, tenth(part.length));
/** Comparing, choosing, and taking an item from a list. */
const step = 16;

/** Says what makes the rules too costly for a pod with `imagesInBudget` of the longest images. */
export function costFault(rules: RuleSet): Unfit | undefined {
  const most = Math.floor(expressionBudget / imagesInBudget);
  const [what, cost] = Object.entries(costsOf(rules)).reduce((one, other) =>
    other[1] > one[1] ? other : one,
  );
  if (cost <= most) return undefined;
  const message = `${what} may cost ${cost} units for one image, expected at most ${most}: a pod with ${imagesInBudget} images would pass unchanged`;
  return { reason: 'TooCostly', message };
}

/** The cost of one of the longest images, by the variable that asks; for people named by the rules it depends on. */
export function costsOf(rules: RuleSet): Readonly<Record<'patterns' | 'references' | 'names', number>> {
  const { patterns, legacy, targets, mirrorTargets, wildcards, exclusions } = rules;
  return {
    patterns: base.matched + sum(patterns.map(patternCost)),
    references: legacy.form === 'glue' ? base.gluedParsed : base.parsed,
    names:
      base.named +
      (targets.lengths.length + mirrorTargets.lengths.length) * (2 * tenth(longestImage) + step) +
      sum(wildcards.map((part) => finding(longestImage, part) + step)) +
      exclusions.ends.length * (tenth(255) + step) +
      sum(exclusions.parts.map((part) => finding(255, part) + step)) +
      sum(exclusions.matches.map((expression) => matching(255, expression) + step)),
  };
}

function patternCost({ matches }: RuleSet['patterns'][number]): number {
  return tenth(longestImage) + step + (matches === '' ? 0 : matching(longestImage, matches));
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

/** Says that the rules are more than an object may have. */
export function sizeFault(rules: RuleSet): Unfit | undefined {
  // The API server writes these characters with six.
  const text = JSON.stringify(rules).replaceAll(/[<>&\u2028\u2029]/g, '\\u0000');
  const size = Buffer.byteLength(text);
  if (size <= largestRules) return undefined;
  return { reason: 'TooLarge', message: `the rules have ${size} bytes, expected at most ${largestRules}` };
}
