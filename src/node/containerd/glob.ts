import type { HostFiles } from './host-files.ts';

/**
 * Returns the paths that an absolute path of containerd's `imports` names: as Go's `filepath.Glob` does where it holds a `*` (`*`, `?` and `[...]`
 * within one part of the path, names that begin with a dot included), else itself.
 */
export function expandGlob(pattern: string, { list, read }: HostFiles): string[] {
  if (!pattern.includes('*')) return [pattern];
  const found = pattern
    .split('/')
    .filter((part) => part !== '')
    .reduce((folders, part) => folders.flatMap((folder) => matches(folder, part, list)), ['']);
  return found.filter((path) => read(path).kind !== 'absent');
}

function matches(folder: string, part: string, list: HostFiles['list']): string[] {
  if (!/[*?[\\]/.test(part)) return [`${folder}/${part}`];
  const pattern = patternOf(part);
  const names = [...list(folder === '' ? '/' : folder)].sort();
  return names.filter((name) => pattern?.test(name)).map((name) => `${folder}/${name}`);
}

/** Undefined for a malformed pattern. */
function patternOf(part: string): RegExp | undefined {
  const source = part.replace(/\\.|\[\^?[^\]]+\]|./gsu, translate);
  try {
    return new RegExp(`^${source}$`, 'su');
  } catch {
    return undefined;
  }
}

function translate(token: string): string {
  if (token === '*') return '.*';
  if (token === '?') return '.';
  if (token.length > 1 && token.startsWith('[')) return token;
  const literal = token.startsWith('\\') && token.length > 1 ? token.slice(1) : token;
  return literal.replace(/[\\^$.*+?()[\]{}|/]/u, '\\$&');
}
