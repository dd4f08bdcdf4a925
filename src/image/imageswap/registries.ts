/** Registry lines of an imageswap map: `host`, `host:port`, `docker.io/library`. */
import { type ImageReference, splitPort, suffixOf } from '../reference.ts';
import type { Rule, Stage, Verdict } from '../settle.ts';
import { libraryKey, type MapEntry } from './entry.ts';
import { beginningOf, moved, type Target, targetOf } from './target.ts';

interface RegistryLine extends Target {
  /** What all it makes begins with. */
  readonly beginning: string;
}

/**
 * One look-up for the registry, and one at each slash of the image for what is already there. What a line makes is not taken on by lines
 * for less (`default`), nor, where it has a path, by the line for its registry; a line for the very registry it is moved to takes it on.
 * Registries are compared as written, as imageswap does: `index.docker.io` has lines of its own. No line is in force without a default.
 */
export function registriesStage(entries: readonly MapEntry[]): Stage {
  const registryEntries = entries.filter(
    ({ kind, key }) => kind === 'registry' && key !== 'noswap_wildcards',
  );
  if (!registryEntries.some(({ key }) => key === 'default')) return () => undefined;
  const lines = new Map<string, RegistryLine>();
  const made = new Map<string, Rule>();
  for (const entry of registryEntries) {
    const target = targetOf(entry);
    const beginning = beginningOf(target, entry.key === libraryKey ? 'docker.io' : splitPort(entry.key).host);
    if (entry.key !== 'default') lines.set(entry.key, { ...target, beginning });
    if (target.value !== '' && (entry.key !== 'default' || !target.glue)) made.set(beginning, target.rule);
  }
  return ({ image, reference }) => {
    if (reference === undefined) return undefined;
    const maker = makerOf(made, image);
    if (maker !== undefined) return { rule: maker, stay: 'already' };
    const found = lineFor(lines, reference);
    if (found !== undefined) return verdictOf(found, image, reference);
    const host = reference.registry === undefined ? undefined : splitPort(reference.registry).host;
    const hostMaker = made.get(reference.registry ?? firstSegment(image)) ?? made.get(host ?? '');
    return hostMaker === undefined ? undefined : { rule: hostMaker, stay: 'already' };
  };
}

/** The rule that makes images of a name with a path in it, the longest first. */
function makerOf(made: ReadonlyMap<string, Rule>, image: string): Rule | undefined {
  const first = image.indexOf('/');
  for (let slash = image.lastIndexOf('/'); slash > first; slash = image.lastIndexOf('/', slash - 1)) {
    const rule = made.get(image.slice(0, slash));
    if (rule !== undefined) return rule;
  }
  return undefined;
}

function firstSegment(image: string): string {
  return image.slice(0, Math.max(0, image.indexOf('/')));
}

interface FoundLine {
  readonly line: RegistryLine;
  /** The image's port, where the line is for the host without one. */
  readonly port?: string | undefined;
}

/** Names without a slash have their own line; `host:port` is more than `host`. */
function lineFor(lines: ReadonlyMap<string, RegistryLine>, reference: ImageReference): FoundLine | undefined {
  const library = isShort(reference) ? lines.get(libraryKey) : undefined;
  const registry = reference.registry ?? 'docker.io';
  const line = library ?? lines.get(registry);
  if (line !== undefined) return { line };
  const { host, port } = splitPort(registry);
  const hostLine = lines.get(host);
  return hostLine === undefined ? undefined : { line: hostLine, port };
}

function isShort({ registry, path }: ImageReference): boolean {
  return registry === undefined && !path.includes('/');
}

function verdictOf({ line, port }: FoundLine, image: string, reference: ImageReference): Verdict {
  const { rule, value, beginning } = line;
  if (value === '') return { rule, stay: 'decided' };
  if (image.startsWith(`${beginning}/`)) return { rule, stay: 'already' };
  if (port !== undefined && isBareHost(line)) {
    return { rule, to: `${value}:${port}/${reference.path}${suffixOf(reference)}` };
  }
  return { rule, to: moved(line, reference) };
}

/** A host alone takes the port of the registry it replaces, as imageswap's own tests want it; behind a path a port would be no reference. */
function isBareHost({ value, glue }: Target): boolean {
  return !glue && !/[/:]/.test(value);
}
