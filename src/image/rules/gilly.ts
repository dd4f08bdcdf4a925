/** gilly: every image from one registry. */
import { compileGlob } from '../glob.ts';
import {
  dockerHubNames,
  type ImageReference,
  isReferencePrefix,
  isRegistryHost,
  registryOf,
  repositoryOf,
  splitPort,
  suffixOf,
} from '../reference.ts';
import type { Rule, Stage } from '../settle.ts';

export interface GillySettings {
  /** `GILLY_REGISTRY`: `host[:port][/path]`. */
  readonly registry: string;
  /** `GILLY_EXCLUDE_REGISTRIES`, one by one. */
  readonly exclude: readonly string[];
  /** `GILLY_KEEP_SOURCE`: the source registry stays in the path, so that no two sources meet in one name. */
  readonly keepSource: boolean;
}

/** Whether `registry` can be `GILLY_REGISTRY`; a slash at its end does not count. */
export function isGillyRegistry(registry: string): boolean {
  return isReferencePrefix(gillyTarget(registry));
}

/** Takes settings with a registry that `isGillyRegistry`. Nothing is looked up: the image's registry is replaced, or put behind the target. */
export function gillyStage({ registry, exclude, keepSource }: GillySettings): Stage {
  const target = gillyTarget(registry);
  const rule: Rule = { source: 'gilly', key: target };
  const exclusions = exclusionsOf(exclude).map(testOf);
  return ({ image, reference, passOver }) => {
    if (reference === undefined) return undefined;
    if (image.startsWith(`${target}/`)) return { rule, stay: 'already' };
    if (exclusions.some((excludes) => excludes(registryOf(reference)))) {
      return passOver({ rule, reason: 'excluded' });
    }
    const suffix = suffixOf(reference);
    return { rule, to: `${target}/${keepSource ? withSource(reference) : reference.path}${suffix}` };
  };
}

/** The registry without slashes at its end. */
export function gillyTarget(registry: string): string {
  return registry.replace(/\/+$/, '');
}

/** A path cannot have a port's colon; hardly a host has the underscore that takes its place. Case does not count in hosts, and a path has none. */
function withSource(reference: ImageReference): string {
  return `${registryOf(reference).toLowerCase().replace(':', '_')}/${repositoryOf(reference)}`;
}

/** An entry of `GILLY_EXCLUDE_REGISTRIES`, and how it is compared with an image's registry. */
export interface Exclusion {
  /** `part`: any registry with it in its name, as gilly had one built in; `end`: hosts below it; `registry`: `host` with any port, or `host:port`. */
  readonly kind: 'pattern' | 'part' | 'end' | 'registry';
  readonly entry: string;
}

/** Takes `GILLY_EXCLUDE_REGISTRIES`, one by one. Docker Hub is one registry, `docker.io`: who excludes one of its names excludes that. */
export function exclusionsOf(exclude: readonly string[]): readonly Exclusion[] {
  const exclusions = exclude.map(exclusionOf);
  const tests = exclusions.map(testOf);
  const isExcluded = (name: string) => tests.some((excludes) => excludes(name));
  if (isExcluded('docker.io') || !dockerHubNames.some(isExcluded)) return exclusions;
  return [...exclusions, { kind: 'pattern', entry: 'docker.io' }];
}

/** `sf-artifactory.` is a part, `.example.com` an end; `*`, `?`, `[` make a pattern, unless it is an IPv6 address. */
function exclusionOf(entry: string): Exclusion {
  if (/[*?[]/.test(entry) && !isRegistryHost(entry)) return { kind: 'pattern', entry };
  if (entry.endsWith('.')) return { kind: 'part', entry };
  return { kind: entry.startsWith('.') ? 'end' : 'registry', entry };
}

function testOf({ kind, entry }: Exclusion): (registry: string) => boolean {
  switch (kind) {
    case 'pattern':
      return compileGlob(entry);
    case 'part':
      return (registry) => registry.includes(entry);
    case 'end':
      return (registry) => splitPort(registry).host.endsWith(entry);
    case 'registry':
      return (registry) => registry === entry || splitPort(registry).host === entry;
  }
}

/** Takes `GILLY_EXCLUDE_REGISTRIES`: registries with commas or spaces between them. */
export function parseExclusions(value: string): string[] {
  return value.split(/[\s,]+/).filter((entry) => entry !== '');
}
