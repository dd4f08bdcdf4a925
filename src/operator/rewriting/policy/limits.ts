/**
 * What the API server takes: an object's size, and what an expression may cost. A policy that costs more is not applied, and nobody is told; so
 * sets that might are the webhook's. The costs are Kubernetes' and CEL's own, for the longest images that are likely. Pure.
 */
import type { RuleSet } from '../../../api/rewrite-rules.ts';
import { notExpressible, type Unfit } from './unfit.ts';

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

/** Says what keeps the rules from being written: their size, or a text that does not survive server-side apply, which reads JSON as YAML. */
export function objectFault(rules: RuleSet): Unfit | undefined {
  const long = Object.keys(rules.images).find((image) => JSON.stringify(image).length > longestKey);
  if (long !== undefined)
    return notExpressible(
      `an image has ${long.length} characters, expected at most ${longestKey}: ${long.slice(0, 60)}…`,
    );
  const text = JSON.stringify(rules);
  const [broken] = unwritable.exec(text) ?? [];
  if (broken !== undefined)
    return notExpressible(`expected texts of printable characters, found ${codePointOf(broken)} in one`);
  // The API server writes these characters with six.
  const size = Buffer.byteLength(text.replaceAll(/[<>&]/g, '\\u0000'));
  if (size <= largestRules) return undefined;
  return { reason: 'TooLarge', message: `the rules have ${size} bytes, expected at most ${largestRules}` };
}

/** YAML takes keys of 1024 characters, quotes and escapes included. */
const longestKey = 1000;
/** Not allowed in YAML as they are, or taken for the end of a line there. */
const unwritable = /[\u007f-\u009f\u2028\u2029\ufeff\ufffe\uffff]|\\u[dD]/;

function codePointOf(character: string): string {
  return `U+${(character.codePointAt(0) ?? 0).toString(16).padStart(4, '0').toUpperCase()}`;
}
