/** Reads the lines that nginx appends to its request log, and keeps that file small. */
import { type FileHandle, open, rm, stat } from 'node:fs/promises';
import { errorMessage } from '../../../observe/error-message.ts';
import type { Logger } from '../../../observe/log.ts';
import { reopenLogs, rotateLog } from '../../rotate-log.ts';

export interface LogFollowerOptions {
  readonly file: string;
  /** nginx's process id, for SIGUSR1. */
  readonly pidFile: string;
  readonly onLine: (line: string) => void;
  readonly log: Logger;
  /** A file larger than this is put aside once it is read. Bytes. */
  readonly limit?: number;
}

const defaultLimit = 16 * 2 ** 20;
const chunkBytes = 256 * 1024;
/** nginx writes lines of a few hundred bytes; what is longer is none of its. */
const longestLine = 16 * 1024;
const newline = 0x0a;

/**
 * A file is put aside in two steps, renamed and opened anew by nginx, between which anybody may be killed. While
 * `<file>.1` exists the second step is not known to be done: nginx is told again, and what it still writes there is read.
 */
export class LogFollower {
  readonly #options: LogFollowerOptions;
  /** Of the file that is read: `<file>.1` while that exists. */
  #offset: number | undefined;
  #inode: number | undefined;
  #rest: Buffer = Buffer.alloc(0);
  /** Told once. */
  #fault: string | undefined;

  constructor(options: LogFollowerOptions) {
    this.#options = options;
  }

  /** Hands on what came since the last call; at the first one only remembers where the file ends. Never rejects. */
  async poll(): Promise<void> {
    const { file, log } = this.#options;
    try {
      const aside = await sizeOf(`${file}.1`);
      if (aside === undefined) await this.#current();
      else await this.#finishRotation();
      this.#fault = undefined;
    } catch (error) {
      const detail = errorMessage(error);
      if (detail !== this.#fault) log.warn({ detail }, 'Request log could not be followed; tried again');
      this.#fault = detail;
    }
  }

  async #current(): Promise<void> {
    const { file, pidFile, limit = defaultLimit } = this.#options;
    const size = await this.#read(file);
    if (size !== undefined && size > limit && (this.#offset ?? 0) >= size) await rotateLog(file, pidFile);
  }

  async #finishRotation(): Promise<void> {
    const { file, pidFile } = this.#options;
    const wasOpened = (await sizeOf(file)) !== undefined;
    const before = this.#offset;
    await this.#read(`${file}.1`);
    if (!wasOpened) return reopenLogs(pidFile);
    // Its workers open the file one after another: the old one is done with when a whole round brought nothing.
    if (before !== this.#offset) return;
    await rm(`${file}.1`);
    this.#restart(0);
  }

  /** Returns the file's size, undefined when there is none. */
  async #read(path: string): Promise<number | undefined> {
    const handle = await open(path).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined;
      throw error;
    });
    if (handle === undefined) {
      this.#restart(0);
      return undefined;
    }
    try {
      return await this.#readFrom(handle);
    } finally {
      await handle.close();
    }
  }

  async #readFrom(handle: FileHandle): Promise<number> {
    const { size, ino } = await handle.stat();
    if (this.#offset === undefined) this.#restart(size);
    // Another file, or one that was emptied.
    else if (size < this.#offset || (this.#inode !== undefined && ino !== this.#inode)) this.#restart(0);
    this.#inode = ino;
    // It is looked at far more often than there is anything to read.
    let buffer: Buffer | undefined;
    while ((this.#offset ?? 0) < size) {
      buffer ??= Buffer.alloc(chunkBytes);
      const { bytesRead } = await handle.read(buffer, 0, chunkBytes, this.#offset);
      if (bytesRead === 0) break;
      this.#offset = (this.#offset ?? 0) + bytesRead;
      this.#take(buffer.subarray(0, bytesRead));
    }
    return size;
  }

  #restart(offset: number): void {
    this.#offset = offset;
    this.#inode = undefined;
    this.#rest = Buffer.alloc(0);
  }

  #take(bytes: Buffer): void {
    let text = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
    for (let at = text.indexOf(newline); at >= 0; at = text.indexOf(newline)) {
      this.#options.onLine(text.toString('latin1', 0, at));
      text = text.subarray(at + 1);
    }
    this.#rest = Buffer.from(text.length > longestLine ? text.subarray(0, 0) : text);
  }
}

async function sizeOf(path: string): Promise<number | undefined> {
  return (await stat(path).catch(() => undefined))?.size;
}
