/** The runtimes that pull, each in the way it does on a node, and without what it pulled before. */
import { execFile } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type ContainerdRelease, startContainerd } from '../../test/support/containerd.ts';
import { startDockerd } from '../../test/support/dockerd.ts';
import type { Wiring } from './figures.ts';

const run = promisify(execFile);

export const reference = 'docker.io/library/app:1';

export interface Runtime {
  readonly name: string;
  /** Resolves when the image is there; rejects when it cannot be had. */
  readonly pull: (wiring: Wiring, signal: AbortSignal) => Promise<void>;
  /** Removes it again. */
  readonly clear: (wiring: Wiring) => Promise<void>;
}

interface Surroundings {
  readonly teardown: (end: () => unknown) => void;
  readonly dir: string;
  /** Host roots. */
  readonly roots: Readonly<Record<Wiring, string>>;
  /** What runtimes trust the upstream by. */
  readonly env: Readonly<Record<string, string>>;
}

export async function startRuntimes(around: Surroundings): Promise<Runtime[]> {
  return [
    await containerd('1.6', around),
    await containerd('2.4', around),
    await docker(around),
    skopeo(around),
  ];
}

/** 1.6 pulls in `ctr`, 2.4 in the daemon (transfer service). */
async function containerd(
  release: ContainerdRelease,
  { teardown, roots, env }: Surroundings,
): Promise<Runtime> {
  const { ctr, socket, programs } = await startContainerd({ teardown }, { release, env });
  return {
    name: `containerd ${release}`,
    async pull(wiring, signal) {
      const hosts = join(roots[wiring], 'etc/containerd/certs.d');
      const args = ['images', 'pull', '--snapshotter', 'native', '--hosts-dir', hosts, reference];
      const command = [join(programs, 'ctr'), '--address', socket, '--namespace', wiring, ...args];
      await runCommand(command, { ...process.env, ...env }, signal);
    },
    async clear(wiring) {
      await ctr(wiring, 'images', 'rm', '--sync', reference);
    },
  };
}

async function docker({ teardown, roots, env }: Surroundings): Promise<Runtime> {
  const start = (wiring: Wiring) => startDockerd({ teardown }, join(roots[wiring], 'etc/docker'), env);
  const daemons = { none: await start('none'), ours: await start('ours'), service: await start('service') };
  return {
    name: 'dockerd 20.10',
    async pull(wiring, signal) {
      const client = { ...process.env, DOCKER_HOST: `unix://${daemons[wiring].socket}` };
      await runCommand(['docker', 'pull', '--quiet', reference], client, signal);
    },
    async clear(wiring) {
      await daemons[wiring].docker('rmi', '--force', reference);
    },
  };
}

function skopeo({ dir, roots, env }: Surroundings): Runtime {
  const place = (wiring: Wiring) => join(dir, `skopeo-${wiring}`);
  return {
    name: 'skopeo 1.9',
    async pull(wiring, signal) {
      const script = 'mount --bind "$1" /etc/containers && shift && exec "$@"';
      const etc = join(roots[wiring], 'etc/containers');
      const copy = ['skopeo', 'copy', `docker://${reference}`, `dir:${place(wiring)}`];
      await runCommand(
        ['unshare', '--mount', 'sh', '-c', script, 'sh', etc, ...copy],
        { ...process.env, ...env, HOME: dir },
        signal,
      );
    },
    async clear(wiring) {
      rmSync(place(wiring), { recursive: true, force: true });
    },
  };
}

/** Rejects with the last of what it says. */
async function runCommand(
  [program = '', ...args]: readonly string[],
  env: NodeJS.ProcessEnv,
  signal: AbortSignal,
): Promise<void> {
  await run(program, args, { env, signal, killSignal: 'SIGKILL' });
}
