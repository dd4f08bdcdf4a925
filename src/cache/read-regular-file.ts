/** Files that people and clusters name: read only where they are files. */
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';

/** Returns the content of a regular file. Rejects for anything else at once: a FIFO or a device could keep its reader for ever, whatever is aborted. */
export async function readRegularFile(file: string): Promise<Buffer> {
  const handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    if (!(await handle.stat()).isFile()) throw new TypeError(`${file}, which is no regular file`);
    return await handle.readFile();
  } finally {
    await handle.close();
  }
}
