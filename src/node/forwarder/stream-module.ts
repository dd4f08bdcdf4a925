/** Where this machine's nginx has its stream module: built in, or a file to be loaded. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { promisify } from 'node:util';

/** Returns the path for `load_module`, null where the module is built in; rejects where there is no nginx or no such module. */
export async function findStreamModule(): Promise<string | null> {
  // It prints to standard error.
  const { stderr } = await promisify(execFile)('nginx', ['-V']);
  const module = parseBuild(stderr);
  if (module !== null && !existsSync(module))
    throw new Error(`no ${module}; Debian has it in libnginx-mod-stream`);
  return module;
}

/** As `findStreamModule`, from what `nginx -V` prints. */
export function parseBuild(text: string): string | null {
  const words = text.split(/\s+/);
  if (words.includes('--with-stream')) return null;
  if (!words.includes('--with-stream=dynamic')) throw new Error('nginx was built without its stream module');
  const argument = (name: string) =>
    words.find((word) => word.startsWith(`${name}=`))?.slice(name.length + 1);
  const folder = argument('--modules-path') ?? `${argument('--prefix') ?? '/usr/local/nginx'}/modules`;
  return `${folder}/ngx_stream_module.so`;
}
