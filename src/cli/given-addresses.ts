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
    const [address = '', mirror] = value.split('=').reverse();
    if (isIP(address) === 0) faults.push(`--cluster-ip: expected ADDRESS or NAME=ADDRESS, got ${value}`);
    if (mirror === undefined) others.push(address);
    else byMirror.set(mirror, [...(byMirror.get(mirror) ?? []), address]);
  }
  if (faults.length > 0) throw new ConfigError(faults);
  return { byMirror, others };
}

/** Those that were given, else those in the status, which are what the Service has: the file was read from a cluster. */
export function addressesOf(mirror: RegistryMirror, { byMirror, others }: GivenAddresses): readonly string[] {
  const named = byMirror.get(mirror.metadata.name);
  return named ?? (others.length > 0 ? others : (mirror.status?.clusterIPs ?? []));
}
