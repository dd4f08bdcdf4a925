/**
 * Which nodes a DaemonSet selects, as an OR of ANDs, and which of them another selection leaves out. Pure; the rules are
 * those of Kubernetes' node affinity. Used by `leaving-nodes.ts`.
 */

import { isRecord } from '../../api/is-record.ts';
import { type Atom, isReadable, narrow, negation } from './node-requirement.ts';

/** One requirement of a node selector term, as the API has it. */
export interface Requirement {
  readonly key: string;
  readonly operator: string;
  readonly values?: readonly string[];
}

/** One term of a node selector: all of its requirements hold. */
export interface Term {
  readonly matchExpressions?: readonly Requirement[];
  readonly matchFields?: readonly Requirement[];
}

/** Where pods may run, as far as a DaemonSet's controller looks at it; taints are left out. */
export interface Placement {
  readonly nodeSelector: Readonly<Record<string, string>>;
  /** Undefined: every node that `nodeSelector` allows. */
  readonly terms?: readonly Term[];
}

/** More terms than these are not computed: a DaemonSet that large helps nobody. */
export const termLimit = 64;

/** The placement in a pod's spec. */
export function placementOf(spec: Readonly<Record<string, unknown>> | undefined): Placement {
  const { nodeSelector, affinity } = (spec ?? {}) as {
    nodeSelector?: Record<string, string>;
    affinity?: {
      nodeAffinity?: { requiredDuringSchedulingIgnoredDuringExecution?: { nodeSelectorTerms?: Term[] } };
    };
  };
  const terms = affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms;
  return { nodeSelector: nodeSelector ?? {}, ...(terms && { terms }) };
}

/** False where it is not of the API's types (`values: a` for `values: [a]`): the API server refuses such pods, and names the field. */
export function isReadablePlacement({ terms = [] }: Placement): boolean {
  return Array.isArray(terms) && terms.every(isTerm);
}

function isTerm(term: unknown): boolean {
  if (!isRecord(term)) return false;
  return [term['matchExpressions'] ?? [], term['matchFields'] ?? []].every(
    (requirements) => Array.isArray(requirements) && requirements.every(isRequirement),
  );
}

function isRequirement(requirement: unknown): boolean {
  return isRecord(requirement) && Array.isArray(requirement['values'] ?? []);
}

/**
 * Terms for exactly the nodes that any of `was` selects and `is` does not; none: no node can be among them. Undefined
 * where these would be more than `termLimit`. A node whose label is not a whole number, where `is` compares it with Gt
 * or Lt, is not among them: no term can say so.
 */
export function leaving(was: readonly Placement[], is: Placement): readonly Term[] | undefined {
  let left = reduced(was.flatMap(conjunctions));
  for (const term of conjunctions(is)) {
    const negated = term.flatMap(negation);
    left = reduced(left.flatMap((one) => negated.map((atom) => [...one, atom])));
    if (left.length > termLimit) return undefined;
  }
  return left.length > termLimit ? undefined : left.flatMap(termsOf);
}

/** True when both are written alike. */
export function samePlacement(one: Placement, other: Placement): boolean {
  return spelled(one) === spelled(other);
}

type Conjunction = readonly Atom[];

/** A term that is empty, or that Kubernetes cannot read, matches no node. */
function conjunctions({ nodeSelector, terms }: Placement): Conjunction[] {
  const always = Object.entries(nodeSelector).map(
    ([key, value]): Atom => ({ field: false, key, operator: 'In', values: [value] }),
  );
  if (terms === undefined) return [always];
  return terms.flatMap((term) => {
    const atoms = atomsOf(term);
    return atoms.length > 0 && atoms.every(isReadable) ? [[...always, ...atoms]] : [];
  });
}

/** `null` is as if it were not there. */
function atomsOf({ matchExpressions, matchFields }: Term): Atom[] {
  const atom = (field: boolean) => (one: Requirement) =>
    ({ field, key: one.key, operator: one.operator, values: one.values ?? [] }) as Atom;
  return [...(matchExpressions ?? []).map(atom(false)), ...(matchFields ?? []).map(atom(true))];
}

/** Without what cannot be, and without what another one of them covers. */
function reduced(all: readonly Conjunction[]): Conjunction[] {
  const possible = all.map(simplified).filter((one) => one !== undefined);
  const distinct = [...new Map(possible.map((one) => [JSON.stringify(one), one])).values()];
  const spelt = distinct.map((one) => new Set(one.map((atom) => JSON.stringify(atom))));
  const covers = (fewer: Set<string> | undefined, atoms: Set<string> | undefined) =>
    [...(fewer ?? [])].every((atom) => atoms?.has(atom));
  return distinct.filter((_, at) => !spelt.some((other, of) => of !== at && covers(other, spelt[at])));
}

/** One normal form per key, in the order of keys; undefined where nothing can match. */
function simplified(conjunction: Conjunction): Conjunction | undefined {
  const byKey = Map.groupBy(conjunction, ({ field, key }) => `${field ? 1 : 0}${key}`);
  const kept: Atom[] = [];
  for (const [, atoms] of [...byKey].sort(([one], [other]) => (one < other ? -1 : 1))) {
    const narrowed = narrow(atoms);
    if (narrowed === undefined) return undefined;
    kept.push(...narrowed);
  }
  return kept;
}

/** A term without requirements would match no node: every node has a label or has it not. */
function termsOf(conjunction: Conjunction): readonly Term[] {
  if (conjunction.length > 0) return [termOf(conjunction)];
  return ['Exists', 'DoesNotExist'].map((operator) => ({ matchExpressions: [{ key: anyLabel, operator }] }));
}

const anyLabel = 'kubernetes.io/hostname';

function termOf(conjunction: Conjunction): Term {
  const requirements = (fields: boolean) =>
    conjunction
      .filter(({ field }) => field === fields)
      .map(({ key, operator, values }) => ({ key, operator, ...(values.length > 0 && { values }) }));
  const [matchExpressions, matchFields] = [requirements(false), requirements(true)];
  return {
    ...(matchExpressions.length > 0 && { matchExpressions }),
    ...(matchFields.length > 0 && { matchFields }),
  };
}

function spelled({ nodeSelector, terms }: Placement): string {
  const labels = Object.entries(nodeSelector).sort(([one], [other]) => (one < other ? -1 : 1));
  const atoms = terms?.map((term) =>
    atomsOf(term).map(({ field, key, operator, values }) => [field, key, operator, values]),
  );
  return JSON.stringify([labels, atoms ?? null]);
}
