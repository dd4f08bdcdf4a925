/** Where everything of one `standalone` lies below its data folder, and how files get there whole. */
import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { access, chmod, mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import type { CachePaths } from '../cache/cache-config.ts';
import { ConfigError } from '../config/problems.ts';
import { errorMessage } from '../observe/error-message.ts';

/** Absolute paths; everything but `caFile` is for the owner's eyes only. */
export interface Folders extends CachePaths {
  readonly root: string;
  /** Shown to clients: what they must trust. */
  readonly caFile: string;
  readonly caKeyFile: string;
  readonly tlsDir: string;
  readonly credentialsDir: string;
  readonly cacheDir: string;
  readonly logDir: string;
  /** Held by the process that runs here. */
  readonly lockFile: string;
  /** Names the caches that were made here. */
  readonly madeCachesFile: string;
}

/** sun_path of a unix socket holds 108 bytes with its final zero. */
const longestSocket = 107;

/** Returns the folders below `data`; throws a `ConfigError` when the broker's socket could not be made there. */
export function foldersOf(data: string): Folders {
  if (data === '') throw new ConfigError(['--data: expected a folder, got an empty path']);
  const root = resolve(data);
  if (root === '/') throw new ConfigError(['--data: expected a folder for this alone, got /']);
  const runDir = join(root, 'run');
  if (Buffer.byteLength(join(runDir, 'broker.sock')) > longestSocket) {
    throw new ConfigError([
      `--data: expected a path of at most ${longestSocket - '/run/broker.sock'.length} bytes`,
    ]);
  }
  if (/["'\\$\p{Cc}]/u.test(root)) {
    throw new ConfigError(['--data: expected a path without quotes, backslash and dollar']);
  }
  return {
    root,
    runDir,
    caFile: join(root, 'ca.crt'),
    caKeyFile: join(root, 'tls', 'ca.key'),
    tlsDir: join(root, 'tls'),
    confDir: join(root, 'conf'),
    tempDir: join(root, 'tmp'),
    brokerDir: join(root, 'broker'),
    credentialsDir: join(root, 'credentials'),
    cacheDir: join(root, 'cache'),
    logDir: join(root, 'log'),
    lockFile: join(root, 'run', 'standalone.lock'),
    madeCachesFile: join(root, 'made-caches'),
  };
}

/** Makes all folders, readable by the owner only (but the root, for `ca.crt`). Throws a `ConfigError` where that cannot be. */
export async function makeFolders(folders: Folders): Promise<void> {
  try {
    await makeAll(folders);
  } catch (error) {
    throw new ConfigError([
      `--data: expected a folder that can be made and written to, got ${folders.root} (${errorMessage(error)})`,
    ]);
  }
}

async function makeAll(folders: Folders): Promise<void> {
  await makeFolder(folders.root);
  const { runDir, tlsDir, confDir, tempDir, brokerDir, credentialsDir, cacheDir, logDir } = folders;
  for (const dir of [runDir, tlsDir, confDir, tempDir, brokerDir, credentialsDir, cacheDir, logDir]) {
    await makeFolder(dir, 0o700);
    await chmod(dir, 0o700);
  }
}

/** Makes `dir` and what is missing above it. Not by `recursive`: that tries for ever where a folder is there and nothing can be made in it (/proc). */
async function makeFolder(dir: string, mode = 0o777): Promise<void> {
  if (await isFolder(dir)) return;
  await makeFolder(dirname(dir));
  await mkdir(dir, { mode }).catch(async (error: unknown) => {
    if (!(await isFolder(dir))) throw error;
  });
}

/**
 * Throws a `ConfigError` for a folder that is somebody else's and has folders of the same names: `--data /var` would shut everybody out of /var/log and /var/tmp.
 * In one that was used before there are files that were written before anything came into `cache` and `log`.
 */
export async function assertOwnFolder(folders: Folders): Promise<void> {
  const { root, madeCachesFile, confDir, runDir, tempDir, cacheDir, logDir, lockFile } = folders;
  for (const file of [madeCachesFile, join(confDir, 'nginx.conf')])
    if (await stat(file).catch(() => undefined)) return;
  // A first start that was cut short may have left its lock.
  const isOurs = (path: string) => path.startsWith(lockFile);
  for (const dir of [cacheDir, logDir, tempDir, runDir]) {
    const names = await readdir(dir).catch(() => []);
    const name = names.find((each) => !isOurs(join(dir, each)));
    if (name !== undefined)
      throw new ConfigError([
        `--data: expected a folder for this alone, got ${root}, where ${join(dir, name)} is somebody else's`,
      ]);
  }
}

function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
}

/**
 * Throws a `ConfigError` for a cache that another user has made, as with an earlier start as root: nginx would answer every request with
 * 500. One that is not there yet is fine, and a volume that cannot be written to is no reason not to start.
 */
export async function assertOwnCaches(dirs: readonly string[]): Promise<void> {
  const faults: string[] = [];
  for (const dir of dirs) {
    await access(dir, constants.R_OK | constants.W_OK | constants.X_OK).catch(
      (error: NodeJS.ErrnoException) => {
        if (error.code !== 'EACCES') return;
        faults.push(`--data: expected caches of this user's own, got ${dir} (${errorMessage(error)})`);
      },
    );
  }
  if (faults.length > 0) throw new ConfigError(faults);
}

/** Replaces `file` so that readers and a crash see the old or the new content. Does nothing when it holds `content` already. */
export async function writeWhole(file: string, content: string, mode = 0o600): Promise<void> {
  if ((await readFile(file, 'utf8').catch(() => undefined)) === content) return;
  const temporary = join(dirname(file), `.${randomBytes(6).toString('hex')}.tmp`);
  const handle = await open(temporary, 'wx', mode);
  try {
    await handle.chmod(mode);
    await handle.writeFile(content);
    await handle.sync();
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  } finally {
    await handle.close();
  }
  await rename(temporary, file);
}
