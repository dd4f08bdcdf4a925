/** The flags of `rewrite` that say where rules come from. */
import type { RegistryMirror } from '../api/registry-mirror.ts';
import { ConfigError } from '../config/problems.ts';
import { parseExclusions } from '../image/rules/gilly.ts';
import type { ImageMap } from '../image/rules/image-maps.ts';
import type { RuleMirror } from '../image/rules/mirrors.ts';
import type { RuleSources } from '../image/rules/table.ts';
import { isOlder } from '../operator/registry-mirror/obstacles.ts';
import { mapMirrorOf } from '../rewriting/services-mirrors.ts';
import { isMirrorAvailable, ruleMirrorOf } from '../rewriting/sources.ts';
import { collect } from './collect.ts';
import { addressesOf, assertNamesKnown, type GivenAddresses, parseAddresses } from './given-addresses.ts';
import { readImageMapDocuments } from './image-map-documents.ts';
import { readMirrorDocuments } from './mirror-documents.ts';
import { readTextFile } from './read-text-file.ts';

export interface SourceFlags {
  readonly imageswapMaps?: string;
  readonly legacyPrefix?: string;
  readonly imageMaps?: string;
  readonly namespace?: string;
  readonly mirrors?: string;
  readonly clusterIp: readonly string[];
  readonly gillyRegistry?: string;
  readonly gillyExclude?: string;
  readonly gillyKeepSource?: true;
}

/** Reads every source the flags name; throws one `ConfigError` with the faults of all. */
export async function readSources(flags: SourceFlags): Promise<RuleSources> {
  const faults = flagFaults(flags);
  const sources: RuleSources = {
    ...given('imageMaps', await tried(faults, () => readImageMaps(flags))),
    ...given('imageswap', await tried(faults, () => readImageswap(flags))),
    ...given('mirrors', await tried(faults, () => readMirrors(flags))),
    ...given('gilly', gillyOf(flags)),
  };
  if (faults.length > 0) throw new ConfigError(faults);
  return sources;
}

/** Flags that mean nothing without another one, or beside it. */
function flagFaults({ imageswapMaps, legacyPrefix, imageMaps, namespace, ...flags }: SourceFlags): string[] {
  const faults: string[] = [];
  if (imageswapMaps !== undefined && legacyPrefix !== undefined) {
    faults.push('--imageswap-maps, --legacy-prefix: expected one of them');
  }
  if (imageMaps !== undefined && namespace === undefined) {
    faults.push('--namespace: expected the pod’s namespace, for --image-maps');
  }
  const forGilly = flags.gillyExclude !== undefined || flags.gillyKeepSource === true;
  if (forGilly && flags.gillyRegistry === undefined)
    faults.push('--gilly-registry: expected a registry as host[:port][/path]');
  return faults;
}

async function tried<T>(faults: string[], read: () => Promise<T>): Promise<T | undefined> {
  try {
    return await read();
  } catch (error) {
    return collect(faults, () => {
      throw error;
    });
  }
}

function given<K extends keyof RuleSources>(key: K, value: RuleSources[K] | undefined): RuleSources {
  return value === undefined ? {} : { [key]: value };
}

async function readImageMaps({
  imageMaps: file,
  namespace,
}: SourceFlags): Promise<readonly ImageMap[] | undefined> {
  if (file === undefined) return undefined;
  const read = readImageMapDocuments(await readTextFile(file, '--image-maps'), file, namespace ?? '');
  if ('faults' in read) throw new ConfigError(read.faults);
  return read.imageMaps;
}

async function readImageswap({
  imageswapMaps,
  legacyPrefix,
}: SourceFlags): Promise<RuleSources['imageswap']> {
  if (imageswapMaps !== undefined) return { map: await readTextFile(imageswapMaps, '--imageswap-maps') };
  return legacyPrefix === undefined ? undefined : { legacyPrefix };
}

async function readMirrors({
  mirrors: file,
  clusterIp,
}: SourceFlags): Promise<readonly RuleMirror[] | undefined> {
  const addresses = parseAddresses(clusterIp);
  if (file === undefined) return undefined;
  const read = readMirrorDocuments(await readTextFile(file, '--mirrors'), file);
  if ('faults' in read) throw new ConfigError(read.faults);
  assertNamesKnown(addresses, read.mirrors);
  return read.mirrors
    .filter(({ metadata }) => metadata.deletionTimestamp === undefined)
    .sort((one, other) => (isOlder(one.metadata, other.metadata) ? -1 : 1))
    .map((mirror) => ruleMirror(mirror, addresses));
}

/** A mirror that was never in a cluster is taken for available: the question is what the rules would do. */
function ruleMirror(mirror: RegistryMirror, addresses: GivenAddresses): RuleMirror {
  const available = mirror.status === undefined || isMirrorAvailable(mirror.status);
  return ruleMirrorOf(mapMirrorOf(mirror, addressesOf(mirror, addresses)), available);
}

function gillyOf({ gillyRegistry, gillyExclude = '', gillyKeepSource }: SourceFlags): RuleSources['gilly'] {
  if (gillyRegistry === undefined) return undefined;
  return {
    registry: gillyRegistry,
    exclude: parseExclusions(gillyExclude),
    keepSource: gillyKeepSource === true,
  };
}
