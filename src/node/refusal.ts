/** What keeps an agent from a node's lock or journal, as a finding. Used by `pass.ts`. */
import { errorMessage } from '../observe/error-message.ts';
import { errorCode, UnusableFile } from './files.ts';
import type { Finding } from './finding.ts';

/** What goes on until somebody changes the node: no permission, a file system that takes nothing, something else in place of a file or a folder. */
const lasting: readonly string[] = [
  ...['EACCES', 'EPERM', 'EROFS', 'ENOSPC', 'EDQUOT', 'EIO'],
  ...['EEXIST', 'EISDIR', 'ENOTDIR', 'ELOOP', 'ENOLINK'],
];

/** Returns undefined for any other error: a lock that another agent holds, a program that is missing, a fault of ours. */
export function refusalOf(error: unknown, hostRoot: string): Finding | undefined {
  if (!(error instanceof UnusableFile) && !lasting.includes(errorCode(error) ?? '')) return undefined;
  const { path } = error as { path?: unknown };
  const below = hostRoot.endsWith('/') ? hostRoot : `${hostRoot}/`;
  const isOfHost = typeof path === 'string' && path.startsWith(below);
  return {
    reason: 'WriteFailed',
    ...(isOfHost && { path: `/${path.slice(below.length)}` }),
    message: errorMessage(error),
    blocks: true,
  };
}
