/**
 * A real control plane for tests: etcd, kube-apiserver and, when asked for, kube-controller-manager on loopback ports,
 * with keys and data of its own. `make control-plane` (or the first use) builds the programs; see test/kubernetes.
 */
import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { AdminClient } from '../kubernetes/admin-client.ts';
import { findAssets } from '../kubernetes/assets.ts';
import { type ControlPlaneAccess, writeFolder } from '../kubernetes/control-plane-folder.ts';
import { compact, put } from '../kubernetes/etcd-gateway.ts';
import {
  apiServerFlags,
  type ControlPlaneLayout,
  controllerManagerFlags,
  etcdFlags,
  filesIn,
} from '../kubernetes/flags.ts';
import { freePorts } from '../kubernetes/free-ports.ts';
import { Guardian } from '../kubernetes/guardian.ts';
import { kubeconfig } from '../kubernetes/kube-config.ts';
import { ServerProcess } from '../kubernetes/server-process.ts';
import { eventually } from './eventually.ts';
import { type PodAccess, writeServiceAccount } from './pod-access.ts';

/** How a control plane differs from the default one; none of it is needed. */
export interface ControlPlaneOptions {
  /** Ends the start (and what was started); without effect once it is ready. */
  signal?: AbortSignal | undefined;
  /** Runs the built-in controllers: garbage collection, namespaces, DaemonSets, service accounts (default false). */
  enableControllerManager?: boolean;
  /** The controllers run, in kube-controller-manager's syntax. The default leaves nodes without a kubelet alone. */
  controllers?: string[];
  /** IPv4, IPv6 or `dualStackServices`; default 10.96.0.0/16. */
  serviceIpRange?: string;
  /** Default `Node,RBAC`. */
  authorizationMode?: string;
  /** Further flags of kube-apiserver; the last one of a name wins. */
  apiServerFlags?: string[];
}

/** A `serviceIpRange` of both families, IPv4 first. */
export const dualStackServices = '10.96.0.0/16,fd00:96::/112';

/** The servers of a control plane. */
export type Component = 'etcd' | 'apiserver' | 'controller-manager';

/** How a server is restarted: `signal` ends it (default SIGTERM), `gapMs` later (default 0) it is started again. */
export interface RestartOptions {
  gapMs?: number;
  signal?: 'SIGTERM' | 'SIGKILL';
}

/** One request as the API server recorded it (audit.k8s.io/v1, level Metadata). */
export interface AuditEvent {
  verb: string;
  requestURI: string;
  user: { username: string };
  userAgent?: string;
  objectRef?: {
    resource: string;
    namespace?: string;
    name?: string;
    apiGroup?: string;
    subresource?: string;
  };
  responseStatus?: { code: number };
  stageTimestamp: string;
}

/** Milliseconds until a server that does not become ready is a failure; usual are 4000. */
const readyTimeout = 60_000;

/** Starts a control plane and returns it ready (about 4 s). Throws, with the servers' last words, when it cannot be had. */
export async function startControlPlane(options: ControlPlaneOptions = {}): Promise<ControlPlane> {
  const programs = [
    'etcd',
    'kube-apiserver',
    ...(options.enableControllerManager ? ['kube-controller-manager'] : []),
  ];
  const assetsDir = await findAssets(programs, options.signal);
  const layout = await layOut(options);
  const guardian = new Guardian(layout.folder);
  const plane = new ControlPlane(assetsDir, layout, await writeFolder(layout), guardian);
  try {
    await plane.start(options.signal);
    return plane;
  } catch (cause) {
    const logs = plane.logs(2000);
    await plane.stop();
    throw new Error(`The control plane did not start; its servers wrote:\n${logs}`, { cause });
  }
}

async function layOut(options: ControlPlaneOptions): Promise<ControlPlaneLayout> {
  const [etcdPort, etcdPeerPort, apiServerPort] = (await freePorts(3)) as [number, number, number];
  return {
    folder: await mkdtemp(join(tmpdir(), 'control-plane-')),
    etcdPort,
    etcdPeerPort,
    apiServerPort,
    serviceIpRange: options.serviceIpRange ?? '10.96.0.0/16',
    authorizationMode: options.authorizationMode ?? 'Node,RBAC',
    controllerManager: options.enableControllerManager ?? false,
    controllers: options.controllers ?? ['*', '-node-lifecycle-controller', '-taint-eviction-controller'],
    apiServerFlags: options.apiServerFlags ?? [],
  };
}

/** A started control plane. Made by `startControlPlane`; the servers also end when the test process does. */
export class ControlPlane extends AdminClient {
  /** The authority that signed the API server's certificate, as PEM in a file. */
  readonly caFile: string;
  /** A kubeconfig of the admin: token and certificate-authority-data inline. */
  readonly kubeconfigPath: string;
  /** The folder of the programs. */
  readonly assetsDir: string;
  /** The temporary folder with all files of this control plane. */
  readonly folder: string;
  readonly #layout: ControlPlaneLayout;
  readonly #access: ControlPlaneAccess;
  readonly #guardian: Guardian;
  readonly #servers: Map<Component, ServerProcess>;

  constructor(assetsDir: string, layout: ControlPlaneLayout, access: ControlPlaneAccess, guardian: Guardian) {
    super(access.url, access.authority.certificate, access.adminToken);
    this.caFile = filesIn(layout.folder).ca;
    this.kubeconfigPath = filesIn(layout.folder).kubeconfig;
    this.assetsDir = assetsDir;
    this.folder = layout.folder;
    this.#layout = layout;
    this.#access = access;
    this.#guardian = guardian;
    this.#servers = new Map(
      commands(layout).map(([name, program, flags]) => {
        const logFile = join(layout.folder, `${name}.log`);
        return [name, new ServerProcess({ program: join(assetsDir, program), flags, logFile }, guardian)];
      }),
    );
  }

  /** Starts every server that does not run and waits until all are ready. */
  async start(signal?: AbortSignal): Promise<void> {
    this.#launch('etcd');
    this.#launch('apiserver');
    await this.#untilReady(signal);
    if (!this.#servers.has('controller-manager')) return;
    this.#launch('controller-manager');
    // The first thing a test would miss: pods are not admitted without this account.
    await eventually(() => this.adminFetch('/api/v1/namespaces/default/serviceaccounts/default'), {
      timeout: readyTimeout,
    });
  }

  /** Ends all servers and removes the folder; may be called twice. */
  async stop(): Promise<void> {
    await Promise.all([...this.#servers.values()].map((server) => server.end('SIGKILL')));
    await this.#guardian.release();
    await this.close();
  }

  /** Kills a server (SIGKILL) and leaves it down; `restart` or `start` brings it back with its data. */
  async kill(component: Component): Promise<void> {
    await this.#end(component, 'SIGKILL');
  }

  /** Ends a server, if it runs, and starts it again on the same port with the same data; returns when all is ready. */
  async restart(component: Component, options: RestartOptions = {}): Promise<void> {
    await this.#end(component, options.signal ?? 'SIGTERM');
    await delay(options.gapMs ?? 0);
    this.#launch(component);
    await this.#untilReady();
  }

  async restartApiServer(options: RestartOptions = {}): Promise<void> {
    await this.restart('apiserver', options);
  }

  /**
   * Makes every resourceVersion handed out so far expire (410 on list and watch): compacts etcd and restarts the API
   * server, whose watch cache would still know them. Returns the compacted revision.
   */
  async compactEtcd(): Promise<number> {
    const revision = await compact(this.#layout.etcdPort);
    await this.restartApiServer();
    return revision;
  }

  /** Stores an object as an older API server did, past the validation of this one. `key` begins with `/registry/`. */
  async storeUnchecked(key: string, object: unknown): Promise<void> {
    await put(this.#layout.etcdPort, key, object);
  }

  /** What each server has written since the start, or only the last `characters` of each. */
  logs(characters = Number.MAX_SAFE_INTEGER): string {
    return [...this.#servers]
      .map(([name, server]) => `--- ${name}\n${server.log().slice(-characters)}`)
      .join('\n');
  }

  /** The requests answered so far, oldest first, without the API server's own; watches appear when they end. */
  async auditLog(): Promise<AuditEvent[]> {
    const lines = (await readFile(filesIn(this.folder).auditLog, 'utf8')).split('\n');
    return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as AuditEvent);
  }

  /** Writes a kubeconfig for a token or, with a client certificate, for any user and groups; returns its path. */
  async kubeconfigFor(who: { token: string } | { user: string; groups?: string[] }): Promise<string> {
    const { authority } = this.#access;
    const credentials = 'token' in who ? who : await authority.forUser(who.user, who.groups ?? []);
    const path = join(await mkdtemp(join(this.folder, 'kubeconfig-')), 'config');
    await writeFile(path, kubeconfig(this.url, authority.certificate, credentials), { mode: 0o600 });
    return path;
  }

  /** Writes a pod's way to this API server: the admin's, or that of another token. */
  async podAccess(token = this.adminToken): Promise<PodAccess> {
    const folder = await mkdtemp(join(this.folder, 'pod-'));
    const ca = this.#access.authority.certificate;
    return writeServiceAccount(folder, { apiServerUrl: this.url, ca, token });
  }

  /** The process of a server that runs. */
  pidOf(component: Component): number {
    const { pid } = this.#server(component);
    if (pid === undefined) throw new Error(`${component} does not run`);
    return pid;
  }

  async #end(component: Component, signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    await this.#server(component).end(signal);
    if (component === 'apiserver') await this.reconnect();
  }

  #server(component: Component): ServerProcess {
    const server = this.#servers.get(component);
    if (!server) throw new Error(`This control plane was started without ${component}`);
    return server;
  }

  #launch(component: Component): void {
    const server = this.#server(component);
    if (server.pid === undefined) server.start();
  }

  async #untilReady(signal?: AbortSignal): Promise<void> {
    const deadline = AbortSignal.timeout(readyTimeout);
    const either = signal ? AbortSignal.any([signal, deadline]) : deadline;
    while (!(await this.#isReady(either))) {
      this.#server('etcd').assertRunning();
      this.#server('apiserver').assertRunning();
      await delay(50, undefined, { signal: either });
    }
  }

  async #isReady(signal: AbortSignal): Promise<boolean> {
    try {
      await this.adminFetch('/readyz', { signal });
      return true;
    } catch {
      return false;
    }
  }
}

function commands(layout: ControlPlaneLayout): Array<[Component, string, string[]]> {
  const all: Array<[Component, string, string[]]> = [
    ['etcd', 'etcd', etcdFlags(layout)],
    ['apiserver', 'kube-apiserver', apiServerFlags(layout)],
    ['controller-manager', 'kube-controller-manager', controllerManagerFlags(layout)],
  ];
  return layout.controllerManager ? all : all.slice(0, 2);
}
