/**
 * How rules are applied to an image: stages in order of precedence are asked until one has a verdict, and again for what came out, until
 * it stays. So every result is one that rules leave alone: rewriting is idempotent whatever the rules are.
 */
import { type ImageReference, isImageReference, maxReferenceLength, parseReference } from './reference.ts';

export type RuleSource =
  | 'ImageMap'
  | 'imageswap [EXACT]'
  | 'imageswap [REPLACE]'
  | 'imageswap'
  | 'imageswap LEGACY'
  | 'mirror'
  | 'gilly';

/** Which rule spoke: where it stands, and its key there. */
export interface Rule {
  readonly source: RuleSource;
  /** What the rule is for: an image, a pattern, a registry. */
  readonly key: string;
  /** Of the imageswap map, counted from 1. */
  readonly line?: number;
  /** Name of the ImageMap or RegistryMirror. */
  readonly object?: string;
}

/** What a stage says of an image: make it `to`, or leave it: by the rule's own will, or because it is what the rule makes. */
export type Verdict =
  | { readonly rule: Rule; readonly to: string }
  | { readonly rule: Rule; readonly stay: 'decided' | 'already' };

/**
 * Why mirrors leave the images of a pod alone: pull secrets are for the registry that they name; what a node needs to come up may be needed for the way
 * to the mirror; no node with Windows trusts a mirror's address.
 */
export type Bypass = 'pullSecrets' | 'nodeCritical' | 'windows';

/** A rule that matched and did not apply. */
export interface PassedOver {
  readonly rule: Rule;
  readonly reason: Bypass | 'neverPulled' | 'mirrorUnavailable' | 'excluded';
}

/** What is known of the pod. */
export interface RewriteRequest {
  readonly namespace?: string | undefined;
  readonly bypass?: Bypass | undefined;
  /** True of an image that is on the node under its own name or nowhere: its pull policy is `Never`. */
  readonly isNeverPulled?: boolean | undefined;
  /** Why nothing of this pod is rewritten, for people. */
  readonly optedOut?: string | undefined;
}

/** An image on its way through the stages. */
export interface Candidate {
  readonly image: string;
  /** Undefined where the text is no image reference: only rules for whole texts can match. */
  readonly reference: ImageReference | undefined;
  readonly request: RewriteRequest;
  /** Tells of a rule that matched and does not apply. */
  readonly passOver: (passedOver: PassedOver) => undefined;
}

/** One kind of rules. Undefined: no opinion. */
export type Stage = (candidate: Candidate) => Verdict | undefined;

/**
 * What became of an image. `decided`: a rule wants it as it is; `already`: it is what a rule makes; `invalid`: a rule makes no image
 * reference of it; `circle`: rules lead back to it, or on without end; `notReference`: it is none, and no rule is for its very text.
 */
export type Outcome =
  | 'rewritten'
  | 'decided'
  | 'already'
  | 'none'
  | 'optedOut'
  | 'invalid'
  | 'circle'
  | 'notReference';

export interface Rewrite {
  readonly image: string;
  /** An image reference, or equal to `image`. */
  readonly result: string;
  readonly outcome: Outcome;
  /** The rule that spoke last; undefined where none did. */
  readonly rule?: Rule;
  /** Each rule that was applied, with what it made; more than one where a rule is for what another one makes. */
  readonly steps: readonly { readonly rule: Rule; readonly result: string }[];
  readonly passedOver: readonly PassedOver[];
  /** For the user: a rule could not be applied. */
  readonly warning?: string;
}

/** Longer chains are nobody's will. */
const maxSteps = 8;

/** Asks the stages, first one first, until the image stays. Every result is an image reference or `image` itself. */
export function settle(stages: readonly Stage[], image: string, request: RewriteRequest = {}): Rewrite {
  const passedOver: PassedOver[] = [];
  const steps: { rule: Rule; result: string }[] = [];
  const passOver = (passed: PassedOver) => {
    passedOver.push(passed);
    return undefined;
  };
  const end = (outcome: Outcome, rest: Pick<Rewrite, 'rule' | 'warning'> = {}): Rewrite => {
    const last = steps.at(-1);
    if (last === undefined) return { image, result: image, outcome, steps, passedOver, ...rest };
    return { image, result: last.result, steps, passedOver, ...rest, outcome: 'rewritten', rule: last.rule };
  };
  if (request.optedOut !== undefined) return end('optedOut');
  // Patterns take longer the longer a text is, and pods can have texts of a megabyte.
  if (image.length > maxReferenceLength) return end('notReference');
  for (let at = image; steps.length <= maxSteps; ) {
    const reference = parseReference(at);
    const verdict = firstVerdict(stages, { image: at, reference, request, passOver });
    if (verdict === undefined) return end(reference === undefined ? 'notReference' : 'none');
    const { rule } = verdict;
    if ('stay' in verdict) return end(verdict.stay, { rule });
    if (verdict.to === at) return end('decided', { rule });
    if (!isImageReference(verdict.to)) return end('invalid', { rule, warning: invalidResult(at, verdict) });
    if (verdict.to === image || steps.some(({ result }) => result === verdict.to)) break;
    steps.push({ rule, result: verdict.to });
    at = verdict.to;
  }
  return inCircle(image, steps, passedOver);
}

function firstVerdict(stages: readonly Stage[], candidate: Candidate): Verdict | undefined {
  for (const stage of stages) {
    const verdict = stage(candidate);
    if (verdict !== undefined) return verdict;
  }
  return undefined;
}

function invalidResult(image: string, { rule, to }: { rule: Rule; to: string }): string {
  return `${image} stays: ${ruleName(rule)} would make it ${JSON.stringify(to)}, which is no image reference`;
}

function inCircle(image: string, steps: Rewrite['steps'], passedOver: readonly PassedOver[]): Rewrite {
  const rule = steps[0]?.rule;
  const warning = `${image} stays: the rules for it lead in a circle or have no end (${steps.map(({ result }) => result).join(', ')})`;
  return {
    image,
    result: image,
    outcome: 'circle',
    ...(rule === undefined ? {} : { rule }),
    steps: [],
    passedOver,
    warning,
  };
}

/** A rule in one line without tabs: `imageswap:3 [EXACT]nginx`, `ImageMap/boot nginx`, `mirror/hub docker.io`. */
export function ruleName({ source, key, line, object }: Rule): string {
  const [system = '', keyword = ''] = source.split(' ');
  const place = `${system}${line === undefined ? '' : `:${line}`}${object === undefined ? '' : `/${object}`}`;
  const shown = /[^!-~ ]/.test(key) ? JSON.stringify(key) : key;
  return keyword.startsWith('[')
    ? `${place} ${keyword}${shown}`
    : `${[place, keyword, shown].filter(Boolean).join(' ')}`;
}
