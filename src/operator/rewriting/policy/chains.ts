/**
 * Which rules would take on what others make. The policy passes over the images once and looks up what came out among whole images; every other
 * chain is the webhook's. Told from beginnings alone: what might happen to any name counts as a chain. Pure.
 */
import type { RuleLookUps, RuleSet } from '../../../api/rewrite-rules.ts';
import type { MapEntry } from '../../../image/imageswap/entry.ts';
import { parseReference, splitPort } from '../../../image/reference.ts';
import { canMatchBelow } from './glob-expression.ts';
import { chain, type Unfit } from './unfit.ts';

/** A place where rules put images. */
export interface Place {
  /** Which rule, for people. */
  readonly rule: string;
  /** What all of its results begin with. */
  readonly begins: string;
  readonly kind: 'path' | 'port' | 'glue' | 'mirror' | 'gilly';
}

/** Where registry lines, the default, mirrors and gilly put images; a bare host also with ports behind it. */
export function placesOf(rules: RuleLookUps): Place[] {
  const lines = Object.entries(rules.registries).flatMap(([key, { form, to }]): Place[] => {
    if (form === 'stay') return [];
    const rule = `the line for ${key}`;
    const below: Place = { rule, begins: `${to}/`, kind: 'path' };
    return form === 'bare' ? [below, { rule, begins: `${to}:`, kind: 'port' }] : [below];
  });
  const { form, to } = rules.default;
  if (form === 'path') lines.push({ rule: 'the default', begins: `${to}/`, kind: 'path' });
  if (form === 'glue') lines.push({ rule: 'the default', begins: to, kind: 'glue' });
  const mirrors = Object.entries(rules.mirrors).map(
    ([registry, mirror]): Place => ({
      rule: `the mirror of ${registry}`,
      begins: `${mirror.to}/`,
      kind: 'mirror',
    }),
  );
  const gilly: Place = { rule: 'gilly', begins: `${rules.gilly.to}/`, kind: 'gilly' };
  return [...lines, ...mirrors, ...(rules.gilly.form === 'none' ? [] : [gilly])];
}

/** Returns the chains of a set, each once; none where every result is what stays, or is a whole image that is looked up. */
export function chainsOf(rules: RuleLookUps, entries: readonly MapEntry[]): Unfit[] {
  return placesOf(rules).flatMap((place) => {
    const pattern = matchesBelow(entries, place.begins);
    if (pattern !== undefined)
      return [chain(`line ${pattern.line}: the pattern ${pattern.key} may match what ${place.rule} makes`)];
    const line = lineAfter(rules, place);
    if (line !== undefined) return [chain(`the line for ${line} takes on what ${place.rule} makes`)];
    const mirror = place.kind === 'gilly' ? mirrorAfter(rules, place) : undefined;
    return mirror === undefined ? [] : [chain(`the mirror of ${mirror} takes on what gilly makes`)];
  });
}

/** The first pattern that puts elsewhere what may lie there. */
function matchesBelow(entries: readonly MapEntry[], begins: string): MapEntry | undefined {
  return entries.find(
    ({ kind, key, value }) => kind === 'replace' && value !== '' && canMatchBelow(key, begins),
  );
}

/** The key of the registry line that is asked for what lies there, unless it leaves it. */
function lineAfter(rules: RuleLookUps, place: Place): string | undefined {
  const isGluedBelow = place.kind === 'glue' && place.begins.includes('/');
  if (isGluedBelow || liesBelow(place.begins, rules.targets.names)) return undefined;
  return keysFor(rules, place).find((key) => {
    const line = rules.registries[key];
    return line !== undefined && line.form !== 'stay' && !leaves(line, place);
  });
}

/** A line that puts images where they are leaves them, ports included. */
function leaves(line: RuleSet['registries'][string], { begins, kind }: Place): boolean {
  if (kind === 'port') return line.form === 'bare' && begins === `${line.to}:`;
  return begins.startsWith(line.begins);
}

function keysFor({ registries }: RuleLookUps, { begins, kind }: Place): string[] {
  const keys = Object.keys(registries);
  if (kind === 'port') return keys.filter((key) => `${splitPort(key).host}:` === begins);
  // Glued to hosts of any name, it is a registry of any name.
  if (kind === 'glue') return keys.filter((key) => key.startsWith(begins) || key === 'docker.io');
  const registry = parseReference(`${begins}x`)?.registry ?? 'docker.io';
  const found = [registry, splitPort(registry).host].find((key) => key in registries);
  return found === undefined ? [] : [found];
}

function mirrorAfter({ mirrors, mirrorTargets }: RuleLookUps, { begins }: Place): string | undefined {
  if (liesBelow(begins, mirrorTargets.names)) return undefined;
  const registry = parseReference(`${begins}x`)?.registry ?? 'docker.io';
  return registry in mirrors ? registry : undefined;
}

/** Whether all that begins so lies below one of the names. */
function liesBelow(begins: string, names: Readonly<Record<string, boolean>>): boolean {
  return Object.keys(names).some((name) => begins.startsWith(`${name}/`));
}
