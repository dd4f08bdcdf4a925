/** The cluster's control plane: its servers in a place of their own, where also the bridge is, and a port of the machine's loopback that leads to it. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { AdminClient } from '../kubernetes/admin-client.ts';
import type { Authority } from '../kubernetes/certificates.ts';
import { type ControlPlaneAccess, writeFolder } from '../kubernetes/control-plane-folder.ts';
import {
  apiServerFlags,
  type ControlPlaneLayout,
  controllerManagerFlags,
  etcdFlags,
  filesIn,
} from '../kubernetes/flags.ts';
import { kubeconfig } from '../kubernetes/kube-config.ts';
import { eventually } from '../support/eventually.ts';
import { apiServerPort, apiServiceAddress, controlAddress, serviceRange } from './addresses.ts';
import { openPort } from './open-port.ts';
import type { Place } from './place.ts';
import type { Programs } from './programs.ts';
import { bridgeScript, podRoutes } from './wire.ts';

export const servers = ['etcd', 'kube-apiserver', 'kube-controller-manager', 'kube-scheduler'] as const;
export type Server = (typeof servers)[number];

export class ClusterControlPlane {
  readonly place: Place;
  readonly #programs: Programs;

  constructor(place: Place, programs: Programs) {
    this.place = place;
    this.#programs = programs;
  }

  /** Writes keys, tokens and the admin's kubeconfig, whose server is `port` of the machine's loopback. */
  async write(port: number): Promise<ControlPlaneAccess> {
    mkdirSync(this.folder, { recursive: true });
    const url = `https://127.0.0.1:${port}`;
    const access = await writeFolder(this.#layout, { url, addresses: [controlAddress, apiServiceAddress] });
    const kubelets = await access.authority.forUser('kube-apiserver-kubelet-client', ['system:masters']);
    const scheduler = await access.authority.forUser('system:kube-scheduler', []);
    const put = (name: string, content: string) => writeFileSync(this.#file(name), content, { mode: 0o600 });
    put('kubelets.crt', kubelets.certificate);
    put('kubelets.key', kubelets.key);
    put('scheduler.kubeconfig', this.#kubeconfig(access.authority, scheduler));
    const manager = { token: access.adminToken };
    put('controller-manager.kubeconfig', this.#kubeconfig(access.authority, manager));
    return access;
  }

  /** Makes the place with the bridge. */
  async makeBridge(): Promise<void> {
    await this.place.start({
      script: `hostname control-plane\n${bridgeScript(controlAddress)}\n${podRoutes()}`,
    });
  }

  /** Starts the servers and opens the port; returns when the API server is ready. */
  async start(port: number, admin: AdminClient): Promise<void> {
    await Promise.all(servers.slice(0, 2).map((server) => this.startServer(server)));
    await openPort(port, this.place, { address: '127.0.0.1', port: apiServerPort });
    await this.untilReady(admin);
    await Promise.all(servers.slice(2).map((server) => this.startServer(server)));
  }

  async startServer(server: Server): Promise<void> {
    await this.place.startDaemon(server, { command: this.#command(server) });
  }

  /** Ends it at once, and leaves it down. */
  async kill(server: Server): Promise<void> {
    await this.place.endDaemon(server, 'SIGKILL');
  }

  async untilReady(admin: AdminClient): Promise<void> {
    await eventually(() => admin.adminFetch('/readyz', { signal: AbortSignal.timeout(5_000) }), {
      timeout: 60_000,
      message: 'The API server was not ready',
    }).catch((cause) => {
      const said = servers.map((server) => `--- ${server}\n${this.place.log(server, 1500)}`).join('\n');
      throw new Error(`The control plane did not start; its servers said:\n${said}`, { cause });
    });
  }

  get folder(): string {
    return join(this.place.folder, 'files');
  }

  #command(server: Server): string[] {
    const { controlPlane, kubernetes } = this.#programs;
    const file = (name: string) => this.#file(name);
    const commands: Record<Server, string[]> = {
      etcd: [join(controlPlane, 'etcd'), ...etcdFlags(this.#layout)],
      'kube-apiserver': [join(controlPlane, 'kube-apiserver'), ...apiServerFlags(this.#layout)],
      'kube-controller-manager': [
        join(controlPlane, 'kube-controller-manager'),
        ...controllerManagerFlags(this.#layout),
        `--kubeconfig=${file('controller-manager.kubeconfig')}`,
      ],
      'kube-scheduler': [
        join(kubernetes, 'kube-scheduler'),
        `--kubeconfig=${file('scheduler.kubeconfig')}`,
        `--authentication-kubeconfig=${file('scheduler.kubeconfig')}`,
        `--authorization-kubeconfig=${file('scheduler.kubeconfig')}`,
        '--leader-elect=false',
        '--secure-port=0',
      ],
    };
    return commands[server];
  }

  get #layout(): ControlPlaneLayout {
    const file = (name: string) => this.#file(name);
    return {
      folder: this.folder,
      // The network is its own: no port is taken.
      etcdPort: 2379,
      etcdPeerPort: 2380,
      apiServerPort,
      serviceIpRange: serviceRange,
      authorizationMode: 'Node,RBAC',
      controllerManager: true,
      controllers: ['*'],
      apiServerFlags: [
        '--bind-address=0.0.0.0',
        `--advertise-address=${controlAddress}`,
        '--endpoint-reconciler-type=lease',
        '--enable-admission-plugins=NodeRestriction,MutatingAdmissionPolicy,PodSecurity',
        // There is no kube-proxy here: webhooks are called at their pods' addresses.
        '--enable-aggregator-routing=true',
        `--kubelet-client-certificate=${file('kubelets.crt')}`,
        `--kubelet-client-key=${file('kubelets.key')}`,
        `--kubelet-certificate-authority=${filesIn(this.folder).ca}`,
        '--kubelet-preferred-address-types=InternalIP',
      ],
    };
  }

  #kubeconfig(authority: Authority, who: Parameters<typeof kubeconfig>[2]): string {
    return kubeconfig(`https://127.0.0.1:${apiServerPort}`, authority.certificate, who);
  }

  #file(name: string): string {
    return join(this.folder, name);
  }
}
