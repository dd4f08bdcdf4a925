/** `purge`: removes a repository, a tag or a digest from every replica of a mirror, or from the cache of this pod or machine. */
import { Command } from 'commander';
import { askPurge, type PurgeResult } from '../cache/purge-request.ts';
import {
  endOfCommand,
  type LocalPlace,
  localPlace,
  type MirrorFlags,
  withMirrorFlags,
} from './mirror-flags.ts';
import { parseMirrorImage } from './mirror-image.ts';
import { removedText } from './removed-text.ts';

/** Returns the command; its exit code is 1 when a replica keeps its copy. */
export function purgeCommand(): Command {
  const command = new Command('purge')
    .description(
      'Removes a repository, or one tag or digest of it, from the cache; the next pull asks the upstream.',
    )
    .argument('<mirror>', 'name of the RegistryMirror')
    .argument('<image>', 'REPOSITORY, REPOSITORY:TAG or REPOSITORY@DIGEST, as clients write it');
  return withMirrorFlags(command).action(purge);
}

async function purge(mirror: string, image: string, flags: MirrorFlags): Promise<void> {
  const signal = endOfCommand(flags);
  const place = await localPlace(flags, mirror);
  if (place !== undefined) {
    const result = await purgeHere(place, image, signal);
    process.stdout.write(
      `${flags.json ? JSON.stringify(result) : `${mirror} ${image}: ${removedText(result)}`}\n`,
    );
    return;
  }
  const { purgeReplicas } = await import('./purge-replicas.ts');
  if (!(await purgeReplicas(mirror, image, flags, signal))) process.exitCode = 1;
}

function purgeHere({ config, mirror }: LocalPlace, image: string, signal: AbortSignal): Promise<PurgeResult> {
  const { repository, tag, digest } = parseMirrorImage(image, mirror);
  const [socket = ''] = config.sockets;
  return askPurge(socket, { mirror: mirror.name, repository, reference: digest ?? tag }, signal);
}
