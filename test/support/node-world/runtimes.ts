/** The node's container runtimes: Debian's containerd and dockerd where packages put them, podman and skopeo; and pulls by each. */
import { mkdirSync, mkdtempSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { eventually } from '../eventually.ts';
import { user } from './names.ts';
import type { Inside, Namespaces } from './namespaces.ts';

export const runtimes = ['containerd', 'docker', 'podman', 'skopeo'] as const;
export type PullingRuntime = (typeof runtimes)[number];

export interface NodeRuntimes {
  readonly dockerd: Inside;
  readonly containerd: Inside;
  /** Pulls as if nothing of the image were there yet; resolves with the seconds it took. With `asUser` it has the user's credentials. */
  readonly pull: (runtime: PullingRuntime, reference: string, asUser?: boolean) => Promise<number>;
  /** What dockerd asks before docker.io. */
  readonly dockersMirrors: () => Promise<string[]>;
}

/** Starts containerd and dockerd as a node's boot does. */
export async function startRuntimes(world: Namespaces): Promise<NodeRuntimes> {
  writeConfiguration(world);
  const containerd = await world.start('containerd', ['containerd']);
  await answers(world, containerd, ['ctr', 'version']);
  const network = ['--bridge=none', '--iptables=false', '--ip-forward=false', '--ip-masq=false'];
  const dockerd = await world.start('dockerd', ['dockerd', '--storage-driver=vfs', ...network]);
  await answers(world, dockerd, ['docker', 'version']);
  const pulls: Record<PullingRuntime, Pull> = {
    containerd: pullByContainerd,
    docker: pullByDocker,
    podman: pullByPodman,
    skopeo: pullBySkopeo,
  };
  return {
    dockerd,
    containerd,
    pull: async (runtime, reference, asUser = false) => {
      const began = performance.now();
      await pulls[runtime](world, reference, asUser);
      return (performance.now() - began) / 1000;
    },
    dockersMirrors: async () => {
      const format = '{{json .RegistryConfig.Mirrors}}';
      return JSON.parse(await world.run(['docker', 'info', '--format', format])) ?? [];
    },
  };
}

type Pull = (world: Namespaces, reference: string, asUser: boolean) => Promise<void>;

/** In a containerd namespace of its own, so that nothing is there yet. */
async function pullByContainerd(world: Namespaces, reference: string, asUser: boolean): Promise<void> {
  const namespace = `n${Math.random().toString(36).slice(2)}`;
  const options = ['--snapshotter', 'native', '--hosts-dir', '/etc/containerd/certs.d'];
  const login = asUser ? ['--user', `${user.username}:${user.password}`] : [];
  await world.run(['ctr', '--namespace', namespace, 'images', 'pull', ...options, ...login, reference]);
}

async function pullByDocker(world: Namespaces, reference: string, asUser: boolean): Promise<void> {
  const config = mkdtempSync(join(world.folder, 'tmp/docker-'));
  if (asUser) writeLogin(join(config, 'config.json'), reference);
  const docker = (...args: string[]) => world.run(['docker', '--config', config, ...args]);
  await docker('pull', '--quiet', reference);
  await docker('image', 'rm', reference);
}

/** With a storage of its own, whose path podman wants short. */
async function pullByPodman(world: Namespaces, reference: string, asUser: boolean): Promise<void> {
  const storage = mkdtempSync(join(world.folder, 'tmp/p-'));
  const folders = ['root', 'runroot', 'tmpdir'].flatMap((name) => [`--${name}`, join(storage, name)]);
  const options = [...folders, '--storage-driver', 'vfs', '--events-backend', 'none'];
  await world.run(['podman', ...options, 'pull', '--quiet', ...loginOf(asUser, '--creds'), reference]);
}

async function pullBySkopeo(world: Namespaces, reference: string, asUser: boolean): Promise<void> {
  const to = mkdtempSync(join(world.folder, 'tmp/s-'));
  await world.run([
    'skopeo',
    'copy',
    ...loginOf(asUser, '--src-creds'),
    `docker://${reference}`,
    `dir:${to}`,
  ]);
}

function loginOf(asUser: boolean, flag: string): string[] {
  return asUser ? [flag, `${user.username}:${user.password}`] : [];
}

function writeLogin(file: string, reference: string): void {
  const auth = Buffer.from(`${user.username}:${user.password}`).toString('base64');
  const [registry = ''] = reference.split('/', 1);
  const place = registry === 'docker.io' ? 'https://index.docker.io/v1/' : registry;
  writeFileSync(file, JSON.stringify({ auths: { [place]: { auth } } }));
}

/** As a kubeadm node has it: Debian's packages, `config_path` set, and nothing of a mirror. */
function writeConfiguration(world: Namespaces): void {
  const put = (path: string, content: string) => {
    mkdirSync(join(world.path(path), '..'), { recursive: true });
    writeFileSync(world.path(path), content);
    // Long before anything is started.
    utimesSync(world.path(path), new Date(0), new Date(0));
  };
  put('/etc/containerd/config.toml', containerdConfiguration);
  // containerd makes it some time after its start.
  put('/etc/cni/net.d/cni.lock', '');
  put('/etc/docker/daemon.json', '{\n    "debug": false\n}');
  put('/etc/containers/policy.json', '{"default":[{"type":"insecureAcceptAnything"}]}');
  put('/etc/containers/registries.conf', 'unqualified-search-registries = ["docker.io"]\n');
}

// What one namespace has is not another's: a pull in a new one asks the registry for everything.
const containerdConfiguration = `version = 2

[plugins."io.containerd.grpc.v1.cri".containerd]
  snapshotter = "native"

[plugins."io.containerd.grpc.v1.cri".registry]
  config_path = "/etc/containerd/certs.d"

[plugins."io.containerd.metadata.v1.bolt"]
  content_sharing_policy = "isolated"

[plugins."io.containerd.internal.v1.opt"]
  path = "/var/lib/containerd/opt"
`;

async function answers(world: Namespaces, program: Inside, command: readonly string[]): Promise<void> {
  await eventually(() => world.run(command)).catch((cause) => {
    throw new Error(`It did not start: ${program.output().slice(-2000)}`, { cause });
  });
}
