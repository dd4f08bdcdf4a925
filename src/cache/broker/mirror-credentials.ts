/** The credentials of one mirror: of those it has, each repository gets the ones with the longest prefix. */
import type { Logger } from '../../observe/log.ts';
import { type CredentialSource, credentialNames, noCredentials } from '../../registry/credentials.ts';
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
  /** Looks at every folder again. */
  reread(): Promise<void>;
}

/** Reads nothing yet. What is not meant to be shown is not read: over plain http, or where access is not by the mirror's own credentials. */
export function mirrorCredentials(config: BrokerMirror, log: Logger): MirrorCredentials {
  const mayShow = config.upstream.scheme === 'https' && config.access === 'shared';
  const places = mayShow ? config.credentials : [];
  const folders = places.map(({ prefix, dir }) => ({
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
    reread: async () => void (await Promise.all(folders.map(({ folder }) => folder.reread()))),
  };
}

/** By whole segments: `team-ab/x` is not below `team-a`. */
function isBelow(repository: string, prefix: string): boolean {
  return prefix === '' || repository === prefix || repository.startsWith(`${prefix}/`);
}
