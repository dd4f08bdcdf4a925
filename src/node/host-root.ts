import { join } from 'node:path';
import { type FileCalls, lookAt, readLink } from './files.ts';

/** As the kernel counts (path_resolution(7)). */
const maximumLinks = 40;

/**
 * Takes a path as the host sees it and returns where it lies under `root`, every link followed as the host would follow it: an absolute
 * target and `..` start and end at `root`, so that no link leads out of it. Parts that do not exist are kept as they are, but a link must lead to
 * something: what it names may lie on the host where nothing is mounted for us, and making it here would change nothing there. Throws
 * ELOOP, or ENOLINK for such a link.
 */
export function resolveInRoot(files: FileCalls, root: string, hostPath: string): string {
  return join(root, ...follow({ files, root, links: 0 }, [], hostPath));
}

interface Walk {
  readonly files: FileCalls;
  readonly root: string;
  links: number;
}

function follow(walk: Walk, from: readonly string[], path: string): string[] {
  let resolved = [...from];
  for (const part of path.split('/').filter((each) => each !== '' && each !== '.')) {
    if (part === '..') {
      resolved.pop();
      continue;
    }
    const target = readLink(walk.files, join(walk.root, ...resolved, part));
    resolved = target === undefined ? [...resolved, part] : followLink(walk, resolved, target);
  }
  return resolved;
}

function followLink(walk: Walk, from: readonly string[], target: string): string[] {
  walk.links += 1;
  if (walk.links > maximumLinks) throw Object.assign(new Error('Too many links'), { code: 'ELOOP' });
  const resolved = follow(walk, target.startsWith('/') ? [] : from, target);
  const path = join(walk.root, ...resolved);
  if (lookAt(walk.files, path) === undefined)
    throw Object.assign(new Error('Link to nothing'), { code: 'ENOLINK', path });
  return resolved;
}
