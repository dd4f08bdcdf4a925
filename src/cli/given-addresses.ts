/** `--cluster-ip`: addresses of mirrors' Services, given by hand. */
import { isIP } from 'node:net';
import { Option } from 'commander';
import type { RegistryMirror } from '../api/registry-mirror.ts';
import { ConfigError } from '../config/problems.ts';

/** Addresses that were given for the Services: of one mirror by its name, and of every other. */
export interface GivenAddresses {
  readonly byMirror: ReadonlyMap<string, readonly string[]>;
  readonly others: readonly string[];
}

/** The option; its values are an array. `otherwise` says what happens without it. */
export function clusterIpOption(otherwise: string): Option {
  const description = `address of the Services, or NAME=ADDRESS for one mirror; may be repeated (both IP families). ${otherwise}`;
  return new Option('--cluster-ip <address>', description)
    .default([])
    .argParser((value: string, before: readonly string[]) => [...before, value]);
}

/** Takes the option's values; throws `ConfigError` that names each that is no address. */
export function parseAddresses(values: readonly string[]): GivenAddresses {
  const byMirror = new Map<string, string[]>();
  const others: string[] = [];
  const faults: string[] = [];
  for (const value of values) {
    const at = value.indexOf('=');
    const mirror = at === -1 ? undefined : value.slice(0, at);
    const address = value.slice(at + 1);
    if (isIP(address) === 0) faults.push(`--cluster-ip: expected ADDRESS or NAME=ADDRESS, got ${value}`);
    if (mirror === undefined) others.push(address);
    else byMirror.set(mirror, [...(byMirror.get(mirror) ?? []), address]);
  }
  if (faults.length > 0) throw new ConfigError(faults);
  return { byMirror, others };
}

/** Throws `ConfigError` for an address of a mirror that is not among these: its name is misspelled. */
export function assertNamesKnown({ byMirror }: GivenAddresses, mirrors: readonly RegistryMirror[]): void {
  const known = new Set(mirrors.map(({ metadata }) => metadata.name));
  const unknown = [...byMirror.keys()].filter((name) => !known.has(name));
  if (unknown.length > 0)
    throw new ConfigError(unknown.map((name) => `--cluster-ip: there is no RegistryMirror ${name}`));
}

/** Those that were given, else those in the status, which are what the Service has: the file was read from a cluster. */
export function addressesOf(mirror: RegistryMirror, { byMirror, others }: GivenAddresses): readonly string[] {
  const named = byMirror.get(mirror.metadata.name);
  return named ?? (others.length > 0 ? others : (mirror.status?.clusterIPs ?? []));
}
