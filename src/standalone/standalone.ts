/**
 * The same nginx and broker without a cluster: both are children, kept running, and follow one YAML file.
 * The main file of this folder; used by `src/cli/standalone.ts` only.
 */
import { join } from 'node:path';
import { holdsAuthorities } from '../cache/broker/authorities.ts';
import { type CacheConfig, type ListenAddress, localSocket, nginxPidFile } from '../cache/cache-config.ts';
import { cacheFiles } from '../cache/cache-files.ts';
import { type ChildPlan, keepRunning } from '../cache/child.ts';
import { reloadNginx, spawnOwned, startNginx, testNginx, waitUntilServing } from '../cache/nginx-process.ts';
import { defaultView } from '../cache/nginx-view.ts';
import { pause } from '../cache/pause.ts';
import { readRegularFile } from '../cache/read-regular-file.ts';
import { fingerprint, followFiles } from '../cache/reload.ts';
import { ConfigError } from '../config/problems.ts';
import { errorMessage, type Logger } from '../observe/log.ts';
import { keepAccessLogSmall } from './access-log.ts';
import { waitForBroker } from './broker-status.ts';
import { renewLeaf } from './certificates.ts';
import { configure, type StandaloneOptions } from './configuration.ts';
import { dropOldCredentials } from './credentials.ts';
import {
  assertOwnCaches,
  assertOwnFolder,
  type Folders,
  foldersOf,
  makeFolders,
  writeWhole,
} from './folders.ts';
import { endLeftovers, lockFolder, noteCaches, removeOldCaches, unlockFolder } from './leftovers.ts';
import { pickPort } from './listen.ts';
import { type CheckCredentials, parseMirrorsFile } from './mirrors-file.ts';

/** What the command hands in beside its options. */
export interface StandaloneSurroundings {
  readonly log: Logger;
  /** Writes one line to standard output. */
  readonly print: (line: string) => void;
  readonly checkCredentials: CheckCredentials;
  /** The program of this executable: `src/main.ts` or `dist/main.js`. */
  readonly mainFile: string;
  /** Milliseconds from one look at our own certificate to the next. */
  readonly certificateMs?: number;
}

const readyWithinMs = 30_000;
const followMs = 500;
/** After what was no fault of the file: memory or a disk may have been short. */
const retryMs = 10_000;
/** The clock may be set by any time at any moment. */
const defaultCertificateMs = 60_000;
const dayMs = 86_400_000;

/**
 * Runs until `signal` aborts, then ends both children within 5 s. Throws a `ConfigError` with every fault of the file or the options
 * before anything is started; afterwards a bad file is logged and what is in force stays.
 */
export async function runStandalone(
  options: StandaloneOptions,
  surroundings: StandaloneSurroundings,
  signal: AbortSignal,
): Promise<void> {
  // Taken before anything is read: a change from here on is seen.
  const inForce = await fingerprint(followed(options));
  const text = await readGiven('-f', options.file);
  parseMirrorsFile(text, options.file, surroundings.checkCredentials);
  for (const [flag, file] of Object.entries(givenFiles(options))) await checkGiven(flag, file);
  const folders = foldersOf(options.data);
  await assertOwnFolder(folders);
  await makeFolders(folders);
  await lockFolder(folders);
  try {
    await endLeftovers(folders, surroundings.log);
    const listen = await pickPort(options.listen, options.port);
    await new Standalone(options, surroundings, folders, listen).run({ text, inForce }, signal);
  } finally {
    await unlockFolder(folders);
  }
}

class Standalone {
  readonly #options: StandaloneOptions;
  readonly #log: Logger;
  readonly #print: (line: string) => void;
  readonly #checkCredentials: CheckCredentials;
  readonly #mainFile: string;
  readonly #certificateMs: number;
  readonly #folders: Folders;
  readonly #listen: ListenAddress;
  /** What was announced, by mirror. */
  #announced = new Map<string, string>();
  #reloading: Promise<void> = Promise.resolve();
  /** The file's text that is in force. */
  #text = '';
  /** What keeps the file from being in force and may pass by itself; told once. */
  #obstacle: string | undefined;
  /** nginx has not read our own certificate since it was renewed. */
  #isUnread = false;
  /** What keeps it from being renewed; told once. */
  #unrenewed: string | undefined;

  constructor(
    options: StandaloneOptions,
    surroundings: StandaloneSurroundings,
    folders: Folders,
    listen: ListenAddress,
  ) {
    const { log, print, checkCredentials, mainFile, certificateMs = defaultCertificateMs } = surroundings;
    this.#options = options;
    this.#certificateMs = certificateMs;
    this.#log = log;
    this.#print = print;
    this.#checkCredentials = checkCredentials;
    this.#mainFile = mainFile;
    this.#folders = folders;
    this.#listen = listen;
  }

  /** The broker is stopped last: what nginx still serves may need it. */
  async run({ text, inForce }: { text: string; inForce: string }, signal: AbortSignal): Promise<void> {
    const config = await this.#prepare(text);
    const names = config.mirrors.map(({ name }) => name);
    await removeOldCaches(this.#folders, names, this.#log);
    const stopNginx = new AbortController();
    const stopBroker = new AbortController();
    const broker = keepRunning(this.#broker(), stopBroker.signal);
    const nginx = keepRunning(this.#nginx(), stopNginx.signal);
    try {
      await this.#announce(config, signal);
      const loops = [this.#follow(inForce, signal), this.#retry(signal), this.#refresh(signal)];
      await Promise.all([...loops, this.#renew(signal), this.#rotate(signal)]);
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      stopNginx.abort();
      await nginx;
      stopBroker.abort();
      await broker;
    }
  }

  /** Writes everything the children read, after nginx has accepted it. */
  async #prepare(text: string): Promise<CacheConfig> {
    const mirrors = parseMirrorsFile(text, this.#options.file, this.#checkCredentials);
    const config = await configure(mirrors, this.#options, this.#folders, this.#listen, this.#log);
    await assertOwnCaches(config.mirrors.map(({ cacheDir }) => cacheDir));
    const names = config.mirrors.map(({ name }) => name);
    await noteCaches(this.#folders, names);
    const trial = join(this.#folders.tempDir, 'trial');
    await makeFolders({ ...this.#folders, confDir: trial });
    await writeFiles(trial, cacheFiles({ ...config, paths: { ...config.paths, confDir: trial } }));
    await testNginx(join(trial, 'nginx.conf'));
    await writeFiles(this.#folders.confDir, cacheFiles(config));
    this.#text = text;
    return config;
  }

  /** Prints a line for each mirror that is new or has another name, as soon as nginx and the broker know it. */
  async #announce(config: CacheConfig, signal: AbortSignal): Promise<void> {
    await this.#serving(config, signal);
    const { address, port } = this.#listen;
    const url = `https://${address.includes(':') ? `[${address}]` : address}:${port}`;
    const before = this.#announced;
    this.#announced = new Map(config.mirrors.map(({ name, masquerade }) => [name, masquerade]));
    for (const [name, masquerade] of this.#announced) {
      if (before.get(name) !== masquerade) this.#print(`ready ${name} ${url} ${masquerade}`);
    }
    const used = config.mirrors.flatMap(({ credentials }) => credentials.map(({ dir }) => dir));
    await dropOldCredentials(this.#folders.credentialsDir, used);
  }

  async #serving(config: CacheConfig, signal: AbortSignal): Promise<void> {
    const late = AbortSignal.timeout(readyWithinMs);
    const limit = AbortSignal.any([signal, late]);
    try {
      await waitUntilServing(this.#listen, { generation: defaultView(config).generation, signal: limit });
      await waitForBroker(config, limit);
    } catch (error) {
      if (!late.aborted) throw error;
      throw new Error(`nginx and broker did not serve within ${readyWithinMs / 1000} s; the log says why`);
    }
  }

  async #follow(inForce: string, signal: AbortSignal): Promise<void> {
    const onChange = () => this.#reloadInTurn(signal);
    const files = followed(this.#options);
    await followFiles({ files, current: inForce, onChange, intervalMs: followMs, signal });
  }

  async #retry(signal: AbortSignal): Promise<void> {
    while (await pause(retryMs, signal)) {
      if (this.#obstacle !== undefined) await this.#reloadInTurn(signal);
    }
  }

  /** The names and the disk of this machine may change. */
  async #refresh(signal: AbortSignal): Promise<void> {
    while (await pause(dayMs, signal)) await this.#reloadInTurn(signal);
  }

  /** Our own leaf, whatever the file says meanwhile. */
  async #renew(signal: AbortSignal): Promise<void> {
    if (this.#options.tlsCert !== undefined) return;
    while (await pause(this.#certificateMs, signal)) await this.#inTurn(() => this.#renewOnce());
  }

  /** Never rejects. */
  async #renewOnce(): Promise<void> {
    try {
      if (await renewLeaf(this.#folders, this.#log)) this.#isUnread = true;
      if (this.#isUnread) await reloadNginx(nginxPidFile(this.#folders));
      this.#isUnread = false;
      this.#unrenewed = undefined;
    } catch (error) {
      const detail = errorMessage(error);
      if (detail !== this.#unrenewed)
        this.#log.error({ detail }, 'The certificate was not looked after; tried again');
      this.#unrenewed = detail;
    }
  }

  async #rotate(signal: AbortSignal): Promise<void> {
    const file = join(this.#folders.logDir, 'access.log');
    await keepAccessLogSmall({ file, pidFile: nginxPidFile(this.#folders), log: this.#log }, signal);
  }

  #reloadInTurn(signal: AbortSignal): Promise<void> {
    return this.#inTurn(() => this.#reload(signal));
  }

  /** What writes the files that nginx reads. */
  #inTurn(act: () => Promise<void>): Promise<void> {
    this.#reloading = this.#reloading.then(act);
    return this.#reloading;
  }

  /** Never rejects. A file that vanished is a fault like any other. */
  async #reload(signal: AbortSignal): Promise<void> {
    try {
      const text = await readGiven('-f', this.#options.file);
      const changed = text !== this.#text;
      const config = await this.#prepare(text);
      // An nginx that is just being started again reads the files by itself.
      await reloadNginx(nginxPidFile(this.#folders)).catch(() => undefined);
      await this.#announce(config, signal);
      this.#obstacle = undefined;
      if (changed) this.#log.info({ file: this.#options.file }, 'Configuration changed');
    } catch (error) {
      if (!signal.aborted) this.#refuse(error);
    }
  }

  #refuse(error: unknown): void {
    const lines = error instanceof ConfigError ? error.problems : [errorMessage(error)];
    const before = this.#obstacle;
    this.#obstacle = error instanceof ConfigError ? undefined : lines.join('\n');
    if (this.#obstacle !== undefined && this.#obstacle === before) return;
    for (const detail of lines) this.#log.error({ detail }, 'Kept the configuration in force');
  }

  #nginx(): ChildPlan {
    const confFile = join(this.#folders.confDir, 'nginx.conf');
    // QUIT lets downloads end.
    const stop = [
      { signal: 'SIGQUIT', waitMs: 2000 },
      { signal: 'SIGTERM', waitMs: 500 },
    ] as const;
    const start = () => startNginx(confFile, localSocket(this.#folders));
    return { name: 'nginx', start, stop, log: this.#log };
  }

  #broker(): ChildPlan {
    const args = [this.#mainFile, 'broker', '--config', join(this.#folders.confDir, 'broker.json')];
    const start = () => spawnOwned(process.execPath, [...args, '--drain-seconds', '1']);
    return { name: 'broker', start, stop: [{ signal: 'SIGTERM', waitMs: 1500 }], log: this.#log };
  }
}

async function writeFiles(dir: string, files: Record<string, string>): Promise<void> {
  for (const [name, content] of Object.entries(files)) await writeWhole(join(dir, name), content);
}

function followed(options: StandaloneOptions): string[] {
  return [options.file, ...Object.values(givenFiles(options))];
}

const upstreamCaFlag = '--upstream-ca';

/** The options that name files, by flag. */
function givenFiles({ upstreamCa, tlsCert, tlsKey }: StandaloneOptions): Record<string, string> {
  return {
    ...(upstreamCa !== undefined && { [upstreamCaFlag]: upstreamCa }),
    ...(tlsCert !== undefined && { '--tls-cert': tlsCert }),
    ...(tlsKey !== undefined && { '--tls-key': tlsKey }),
  };
}

async function checkGiven(flag: string, file: string): Promise<void> {
  const text = await readGiven(flag, file);
  if (flag === upstreamCaFlag && !holdsAuthorities(text))
    throw new ConfigError([`${flag}: expected a PEM file with a certificate, got none in ${file}`]);
}

async function readGiven(flag: string, file: string): Promise<string> {
  try {
    return (await readRegularFile(file)).toString();
  } catch (error) {
    throw new ConfigError([`${flag}: expected a file that can be read, got ${errorMessage(error)}`]);
  }
}
