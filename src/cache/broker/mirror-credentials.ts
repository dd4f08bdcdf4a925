/** The credentials of one mirror: of those it has, each repository gets the ones with the longest prefix. */
import type { Logger } from '../../observe/log.ts';
import { credentialExpiry } from '../../registry/credential-expiry.ts';
import {
  type CredentialSource,
  type Credentials,
  credentialNames,
  noCredentials,
} from '../../registry/credentials.ts';
import type { BrokerMirror } from './broker-config.ts';
import { CredentialFolder } from './credential-folder.ts';
import { upstreamPrefixes } from './upstream-repository.ts';

export interface MirrorCredentials {
  /**
   * The source for a repository as the upstream knows it. One that has nothing (yet) is not made up for by another: a
   * repository is asked for with its own credentials or with none.
   */
  of(repository: string): CredentialSource;
  /** True when there is something to show for any repository. */
  present(): boolean;
  /** When the first of them expires that says so, in ms since 1970. */
  expire(): number | undefined;
  /** What is wrong with what lies there, without what is in it; undefined also where nothing does. */
  fault(): string | undefined;
  /** Looks at every folder again. */
  reread(): Promise<void>;
}

/** Reads nothing yet. What is not meant to be shown is not read: over plain http, or where access is not by the mirror's own credentials. */
export function mirrorCredentials(config: BrokerMirror, log: Logger): MirrorCredentials {
  const mayShow = config.upstream.scheme === 'https' && config.access === 'shared';
  const places = mayShow ? config.credentials : [];
  const folders = places.map(({ prefix, dir }) => ({
    prefix,
    prefixes: upstreamPrefixes(config.upstream, prefix),
    folder: new CredentialFolder({
      dir,
      names: credentialNames(config.upstream, prefix),
      log: prefix === '' ? log : log.child({ prefix }),
    }),
  }));
  const byLength = folders
    .flatMap(({ prefixes, folder }) => prefixes.map((prefix) => ({ prefix, folder })))
    .sort((one, other) => other.prefix.length - one.prefix.length);
  return {
    of: (repository) => byLength.find(({ prefix }) => isBelow(repository, prefix))?.folder ?? noCredentials,
    present: () => folders.some(({ folder }) => folder.current() !== undefined),
    expire: () => earliest(folders.map(({ folder }) => folder.current())),
    fault: () => faultOf(folders),
    reread: async () => void (await Promise.all(folders.map(({ folder }) => folder.reread()))),
  };
}

function earliest(all: readonly (Credentials | undefined)[]): number | undefined {
  const known = all.flatMap((credentials) => (credentials && credentialExpiry(credentials)) ?? []);
  return known.length === 0 ? undefined : Math.min(...known);
}

function faultOf(
  folders: readonly { readonly prefix: string; readonly folder: CredentialFolder }[],
): string | undefined {
  const faults = folders.flatMap(({ prefix, folder }) => {
    const fault = folder.fault();
    if (fault === undefined) return [];
    return prefix === '' ? [fault] : [`for what is below ${prefix}: ${fault}`];
  });
  return faults.length === 0 ? undefined : faults.join('; ');
}

/** By whole segments: `team-ab/x` is not below `team-a`. */
function isBelow(repository: string, prefix: string): boolean {
  return prefix === '' || repository === prefix || repository.startsWith(`${prefix}/`);
}
