import type { HostFiles } from '../../../../src/node/containerd/host-files.ts';
import type { FileState } from '../../../../src/node/files.ts';

/** A host that has these files: text by path, or a state. The folders above them are there too; a path that ends with `/` is an empty folder. */
export function memoryHost(files: Record<string, string | Buffer | FileState>): HostFiles {
  const paths = Object.keys(files);
  return {
    read: (path) => {
      const file = files[path];
      if (file === undefined)
        return {
          kind: paths.some((each) => each.startsWith(`${path}/`.replace('//', '/'))) ? 'folder' : 'absent',
        };
      if (typeof file === 'object' && 'kind' in file) return file;
      return { kind: 'file', content: Buffer.from(file), mode: 0o644, uid: 0, gid: 0 };
    },
    list: (path) => {
      const below = `${path}/`.replace('//', '/');
      const names = paths
        .filter((each) => each.startsWith(below))
        .map((each) => each.slice(below.length).split('/')[0]!);
      return [...new Set(names.filter((name) => name !== ''))].sort();
    },
  };
}
