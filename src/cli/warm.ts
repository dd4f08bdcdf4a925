/** `warm`: brings images into every replica of a mirror, or into the cache of this pod or machine, before anybody pulls them. */
import { Command, InvalidArgumentError } from 'commander';
import { askPurge } from '../cache/purge-request.ts';
import { isKept } from '../cache/warm/kept-blob.ts';
import { openLocalCache } from '../cache/warm/local-cache.ts';
import { ownPlatform, type Platform, parsePlatform } from '../cache/warm/platform.ts';
import type { WarmEvent } from '../cache/warm/warm-event.ts';
import { warmImages } from '../cache/warm/warm-images.ts';
import { endOfCommand, type LocalPlace, localPlace, withMirrorFlags } from './mirror-flags.ts';
import { createDisplay } from './warm-display.ts';
import { imageToWarm, type WarmFlags } from './warm-order.ts';

/** Returns the command; its exit code is 1 when an image is not complete everywhere. */
export function warmCommand(): Command {
  const command = new Command('warm')
    .description(
      'Pulls images into the cache. What is there already is checked; what is missing is downloaded once.',
    )
    .argument('<mirror>', 'name of the RegistryMirror')
    .argument('<image...>', 'REPOSITORY[:TAG][@DIGEST], as clients write it; default tag latest')
    .option(
      '--platform <os/arch[/variant]>',
      'of images for several platforms; may be repeated (default: linux and the architecture of each replica’s machine)',
      collectPlatform,
    )
    .option('--all-platforms', 'every platform of an image, and its attestations')
    .option('--parallel <n>', 'layers read at once in each replica', parseParallel, 3);
  return withMirrorFlags(command).action(warm);
}

async function warm(mirror: string, images: readonly string[], flags: WarmFlags): Promise<void> {
  const signal = endOfCommand(flags);
  const place = await localPlace(flags, mirror);
  if (place !== undefined) {
    if (!(await warmHere(place, images, flags, signal))) process.exitCode = 1;
    return;
  }
  const { warmReplicas } = await import('./warm-replicas.ts');
  if (!(await warmReplicas(mirror, images, flags, signal))) process.exitCode = 1;
}

async function warmHere(
  { config, mirror }: LocalPlace,
  texts: readonly string[],
  flags: WarmFlags,
  signal: AbortSignal,
): Promise<boolean> {
  const images = texts.map((text) => imageToWarm(text, mirror));
  const cache = openLocalCache(config.localSocket, mirror.masquerade);
  const display = flags.json ? undefined : createDisplay(process.stdout);
  const emit = (event: WarmEvent) => {
    if (display === undefined) process.stdout.write(`${JSON.stringify(event)}\n`);
    else display.show('', event);
  };
  const [socket = ''] = config.sockets;
  try {
    return await warmImages(images, {
      cache,
      choice: flags.allPlatforms ? 'all' : (flags.platform ?? [ownPlatform(process.arch)]),
      parallel: flags.parallel,
      purge: (repository, reference) =>
        askPurge(socket, { mirror: mirror.name, repository, reference }, signal),
      isKept: ({ digest, size }) => {
        const { name, cacheDir } = mirror;
        const { sliceBytes } = config;
        return isKept({ mirror: name, digest, totalBytes: size, dir: cacheDir, sliceBytes }, signal);
      },
      emit,
      signal,
    });
  } finally {
    display?.end();
    cache.close();
  }
}

function collectPlatform(value: string, before: readonly Platform[] = []): readonly Platform[] {
  const platform = parsePlatform(value);
  if (platform === undefined) throw new InvalidArgumentError('expected os/architecture[/variant].');
  return [...before, platform];
}

function parseParallel(value: string): number {
  const number = Number(value);
  if (!/^[0-9]{1,2}$/.test(value) || number < 1 || number > 32)
    throw new InvalidArgumentError('expected 1 to 32.');
  return number;
}
