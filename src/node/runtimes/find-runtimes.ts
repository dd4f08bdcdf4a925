/** Finds out which container runtimes a node has, from its processes, sockets and configuration. The main file of this folder. */
import { defaultAddress, defaultConfigFile } from '../containerd/command-line.ts';
import type { ContainerdFacts, DockerFacts, NodeFacts, RuntimeFacts } from '../facts.ts';
import { errorCode, type FileCalls, readState } from '../files.ts';
import { resolveInRoot } from '../host-root.ts';
import { type FoundProcess, findProcesses, type ProcessTools } from '../signal.ts';
import { containerdOf } from './running-containerd.ts';

/** What a runtime says of itself on its socket; undefined where it does not answer. */
export interface RuntimeQuestions {
  readonly containerdVersion: (socket: string) => Promise<string | undefined>;
  readonly crioVersion: (socket: string) => Promise<string | undefined>;
  readonly dockerInfo: (
    socket: string,
  ) => Promise<{ readonly version: string; readonly containerdStore: boolean } | undefined>;
}

export interface FinderOptions extends RuntimeQuestions {
  readonly files: FileCalls;
  readonly hostRoot: string;
  readonly now?: () => number;
}

const sockets = {
  docker: ['/run/docker.sock', '/var/run/docker.sock'],
  containerd: [defaultAddress, '/run/k3s/containerd/containerd.sock', '/run/k0s/containerd.sock'],
  crio: ['/run/crio/crio.sock', '/var/run/crio/crio.sock'],
} as const;

/** What says that a runtime may run although none does; nothing that we make ourselves. */
const configuration = {
  docker: ['/etc/docker/daemon.json'],
  containerd: [
    defaultConfigFile,
    '/etc/k0s/containerd.toml',
    '/var/lib/rancher/k3s',
    '/var/lib/rancher/rke2',
  ],
  crio: ['/etc/crio', '/etc/containers/registries.conf'],
} as const;

const programs = { docker: 'dockerd', containerd: 'containerd', crio: 'crio' } as const;

type Name = keyof typeof programs;

/** The process of a runtime, where it may answer, and what can be told without asking it. */
interface Running {
  readonly process: FoundProcess | undefined;
  readonly sockets: readonly string[];
  readonly facts: ContainerdFacts | object;
}

/** A runtime that is restarted is gone for a moment, and its socket with it: this long it counts as one that does not run. */
const goneAfterMs = 120_000;

export class RuntimeFinder {
  readonly #options: FinderOptions;
  /** What processes said of themselves, by process: asked once in its life. */
  readonly #said = new Map<string, Promise<unknown>>();
  /** When each was last seen running, and what it last said of itself: while it is away or silent it is taken for what it was. */
  readonly #seen = new Map<Name, { readonly at: number; readonly said: unknown }>();
  /** Of the look that goes on. */
  #processFiles: ProcessFiles;

  constructor(options: FinderOptions) {
    this.#options = options;
    this.#processFiles = options.files;
  }

  /** Looks anew; asks only processes that it does not know yet. Never rejects. */
  async find(): Promise<NodeFacts> {
    const { containerdVersion, crioVersion, dockerInfo } = this.#options;
    this.#processFiles = namesReadOnce(this.#options.files);
    const docker = await this.#look<DockerFacts>('docker', async (socket) => dockerInfo(socket));
    const running = this.#containerd();
    const containerd = await this.#look<ContainerdFacts>(
      'containerd',
      async (socket) => versionOf(await containerdVersion(socket)),
      running,
    );
    const crio = await this.#look('crio', async (socket) => versionOf(await crioVersion(socket)));
    return {
      ...(docker && { docker }),
      ...(containerd && !this.#isDockersAlone(docker, running.sockets) && { containerd }),
      ...(crio && { crio }),
    };
  }

  async #look<T extends RuntimeFacts>(
    name: Name,
    ask: (socket: string) => Promise<Partial<T> | undefined>,
    { process, sockets: itsSockets, facts }: Running = this.#running(name),
  ): Promise<T | undefined> {
    const socket = itsSockets.map((path) => this.#real(path)).find((path) => path !== undefined);
    const isConfigured = configuration[name].some((path) => this.#real(path) !== undefined);
    const now = (this.#options.now ?? Date.now)();
    const last = this.#seen.get(name);
    const isThere =
      socket !== undefined || isConfigured || (last !== undefined && now - last.at < goneAfterMs);
    if (process === undefined) return isThere ? ({ ...(last?.said ?? {}), running: false } as T) : undefined;
    const answer = socket === undefined ? undefined : await this.#once(process, name, () => ask(socket));
    const said = { ...(last?.said as Partial<T> | undefined), ...answer, ...facts };
    this.#seen.set(name, { at: now, said });
    return {
      running: true,
      startedAt: now - process.age * 1000,
      commandLine: process.commandLine,
      ...said,
    } as unknown as T;
  }

  #running(name: Name): Running {
    const [process] = this.#processes(programs[name]);
    return { process, sockets: sockets[name], facts: {} };
  }

  /** That of the node's pods, of several. A socket that is not where it is said to be is looked for where one without an address has it. */
  #containerd(): Running {
    const processes = this.#processes(programs.containerd).filter(isNodes);
    const found = containerdOf(processes, { kubelet: this.#kubelet(), text: (path) => this.#text(path) });
    if (found === undefined) return { process: undefined, sockets: sockets.containerd, facts: {} };
    const { process, configFile, address } = found;
    const others = processes.length > 1 ? [] : sockets.containerd;
    return { process, sockets: [address, ...others], facts: { configFile } };
  }

  /** What the kubelet was told, where one runs that is not within another program. */
  #kubelet(): readonly string[] | undefined {
    const [kubelet] = this.#processes('kubelet');
    return kubelet && [...kubelet.commandLine, ...this.#kubeletFiles()];
  }

  #kubeletFiles(): string[] {
    return ['/var/lib/kubelet/config.yaml', '/var/lib/kubelet/kubeadm-flags.env'].map((path) =>
      this.#text(path),
    );
  }

  /** One that could not answer is asked again. */
  async #once<T>(
    process: FoundProcess,
    name: Name,
    ask: () => Promise<T | undefined>,
  ): Promise<T | undefined> {
    const key = `${name} ${process.pid} ${Math.round(process.began)}`;
    for (const each of this.#said.keys())
      if (each.startsWith(`${name} `) && each !== key) this.#said.delete(each);
    const known = (this.#said.get(key) as Promise<T | undefined> | undefined) ?? ask().catch(() => undefined);
    this.#said.set(key, known);
    const said = await known;
    if (said === undefined) this.#said.delete(key);
    return said;
  }

  /**
   * A containerd that only carries Docker's containers: the kubelet names cri-dockerd (packages leave a configuration of containerd all the same), or
   * nobody has configured it and the kubelet, which k3s and k0s have within, does not name it.
   */
  #isDockersAlone(docker: RuntimeFacts | undefined, [address]: readonly string[]): boolean {
    if (docker === undefined || !(docker.running || this.#wasSeen('docker'))) return false;
    const words = this.#kubelet() ?? this.#kubeletFiles();
    const names = (socket: string) => words.some((word) => word.includes(socket));
    if (names('containerd.sock') || address !== defaultAddress) return false;
    const [, ...ofDistributions] = sockets.containerd;
    const isConfigured = [defaultConfigFile, ...ofDistributions].some(
      (path) => this.#real(path) !== undefined,
    );
    return !isConfigured || names('cri-dockerd.sock');
  }

  /** It may be being restarted. */
  #wasSeen(name: Name): boolean {
    const { now = Date.now } = this.#options;
    return now() - (this.#seen.get(name)?.at ?? Number.NEGATIVE_INFINITY) < goneAfterMs;
  }

  /** The host's own, whichever processes are named in ours. */
  #processes(name: string): FoundProcess[] {
    const { hostRoot } = this.#options;
    try {
      return findProcesses(name, { files: this.#processFiles, procFolder: `${hostRoot}/proc`, uid: 0 });
    } catch {
      return [];
    }
  }

  /** The container's path of what lies there on the host; undefined where nothing does. */
  #real(path: string): string | undefined {
    const { files, hostRoot } = this.#options;
    try {
      const real = resolveInRoot(files, hostRoot, path);
      return readState(files, real).kind === 'absent' ? undefined : real;
    } catch (error) {
      if (errorCode(error) === undefined) throw error;
      return undefined;
    }
  }

  #text(path: string): string {
    const real = this.#real(path);
    const state = real === undefined ? undefined : readState(this.#options.files, real);
    return state?.kind === 'file' ? state.content.toString('latin1') : '';
  }
}

type ProcessFiles = ProcessTools['files'];

/** Several programs are looked for among the processes of one moment: on a node with thousands, their names are most of what a pass reads. */
function namesReadOnce(files: ProcessFiles): ProcessFiles {
  const names = new Map<unknown, string>();
  const readFileSync = (path: string, encoding: 'utf8') => {
    if (!path.endsWith('/comm')) return files.readFileSync(path, encoding);
    const name = names.get(path) ?? files.readFileSync(path, encoding);
    names.set(path, name);
    return name;
  };
  return { lstatSync: files.lstatSync, readdirSync: files.readdirSync, readFileSync: readFileSync as never };
}

/** dockerd starts a containerd of its own where there is none. */
function isNodes({ commandLine }: FoundProcess): boolean {
  return !commandLine.some((argument) => argument.includes('/docker/containerd/'));
}

function versionOf(version: string | undefined): { readonly version: string } | undefined {
  return version === undefined ? undefined : { version };
}
