/** Registry lines of an imageswap map: `host`, `host:port`, `docker.io/library`. */
import { type ImageReference, splitPort, suffixOf } from '../reference.ts';
import type { Rule, Stage, Verdict } from '../settle.ts';
import { libraryKey, type MapEntry } from './entry.ts';
import { beginningOf, madeBy } from './made.ts';
import { isBareHost, isMadeForAnyHost, moved, type Target, targetOf } from './target.ts';

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
  const defaultEntry = registryEntries.find(({ key }) => key === 'default');
  if (defaultEntry === undefined) return () => undefined;
  const lines = new Map(registryEntries.map((entry) => [entry.key, lineOf(entry)]));
  lines.delete('default');
  const made = madeBy(registryEntries);
  const gluedDefault = gluedBelow(targetOf(defaultEntry));
  return ({ image, reference }) => {
    if (reference === undefined) return undefined;
    const maker = makerBelow(made.below, image) ?? gluedDefault(image);
    if (maker !== undefined) return { rule: maker, stay: 'already' };
    const found = lineFor(lines, reference);
    if (found !== undefined) return verdictOf(found, image, reference);
    const hostMaker = makerOn(made.registries, reference);
    return hostMaker === undefined ? undefined : { rule: hostMaker, stay: 'already' };
  };
}

function lineOf(entry: MapEntry): RegistryLine {
  const target = targetOf(entry);
  return { ...target, beginning: beginningOf(target, entry) };
}

/** The rule that makes images below a name, the longest first. */
function makerBelow(below: ReadonlyMap<string, Rule>, image: string): Rule | undefined {
  for (let slash = image.lastIndexOf('/'); slash > 0; slash = image.lastIndexOf('/', slash - 1)) {
    const rule = below.get(image.slice(0, slash));
    if (rule !== undefined) return rule;
  }
  return undefined;
}

/** A default that is glued to hosts behind a path makes no images of a registry that has a line. */
function gluedBelow(target: Target): (image: string) => Rule | undefined {
  const isBelow = target.glue && target.value.includes('/');
  return (image) => (isBelow && isMadeForAnyHost(target, image) ? target.rule : undefined);
}

/** The rule that makes images of the registry. */
function makerOn(registries: ReadonlyMap<string, Rule>, { registry }: ImageReference): Rule | undefined {
  if (registry === undefined) return undefined;
  return registries.get(registry) ?? registries.get(`${splitPort(registry).host}:`);
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
