/**
 * Reads what nginx wrote at the beginning of a cache file: its own binary header, `\nKEY: <key>\n`, the upstream's
 * response head. Nothing here trusts the file: it may be foreign, half written, or gone.
 */
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { type CacheKey, parseCacheKey } from './cache-key.ts';

export interface CacheFile {
  readonly key: CacheKey;
  /** Absent while nginx has not written it to its end. */
  readonly head?: ResponseHead;
}

export interface ResponseHead {
  readonly status: number;
  /** By lower-case name; of a header that comes twice the last. */
  readonly headers: ReadonlyMap<string, string>;
  /** Byte of the file at which the body begins. */
  readonly bodyAt: number;
}

/** Enough for nearly every file of ours. Bytes. */
const firstRead = 1024;
/** nginx's `proxy_buffer_size` bounds its header, the key and the head together: 16 KiB. Bytes. */
const maxRead = 32 * 1024;
const keyMark = Buffer.from('\nKEY: ');
const headEnd = Buffer.from('\r\n\r\n');

/**
 * Opens a file of the cache for reading without marking it as used, since eviction goes by that. The kernel lets only
 * the owner (and root) do so; nginx and the broker run as one user.
 */
export async function openUnmarked(path: string): Promise<FileHandle> {
  try {
    return await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NOATIME);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') throw error;
    return open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  }
}

/** Returns what a file is; undefined for what is none of ours, too short, or gone. */
export async function readCacheFile(path: string): Promise<CacheFile | undefined> {
  const file = await openUnmarked(path).catch(() => undefined);
  if (file === undefined) return undefined;
  try {
    return await readHead(file);
  } catch {
    return undefined;
  } finally {
    await file.close();
  }
}

/** The same for a file that is open. */
export async function readHead(file: FileHandle): Promise<CacheFile | undefined> {
  const short = parseHead(await readStart(file, firstRead));
  if (short?.head !== undefined) return short;
  return parseHead(await readStart(file, maxRead));
}

async function readStart(file: FileHandle, length: number): Promise<Buffer> {
  const { buffer, bytesRead } = await file.read(Buffer.allocUnsafe(length), 0, length, 0);
  return buffer.subarray(0, bytesRead);
}

/** Takes the beginning of a file. The binary header differs between releases of nginx, so it is searched past. */
export function parseHead(bytes: Buffer): CacheFile | undefined {
  const mark = bytes.indexOf(keyMark);
  const keyAt = mark + keyMark.length;
  const keyEnd = bytes.indexOf('\n', keyAt);
  if (mark < 0 || keyEnd < 0) return undefined;
  const key = parseCacheKey(bytes.toString('utf8', keyAt, keyEnd));
  if (key === undefined) return undefined;
  const end = bytes.indexOf(headEnd, keyEnd);
  if (end < 0) return { key };
  const [statusLine = '', ...lines] = bytes.toString('latin1', keyEnd + 1, end).split('\r\n');
  const status = /^HTTP\/1\.[01] (\d{3})(?: |$)/.exec(statusLine)?.[1];
  if (status === undefined) return { key };
  const headers = new Map(lines.map(parseLine));
  return { key, head: { status: Number(status), headers, bodyAt: end + headEnd.length } };
}

function parseLine(line: string): [string, string] {
  const colon = line.indexOf(':');
  return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
}
