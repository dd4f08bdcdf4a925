/**
 * The root file system of a node: the machine's /usr, read-only, and everything else its own, so that nothing a pod mounts or writes
 * is the machine's. What outlives a reboot of the node lies in its folder.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Preparation } from './place.ts';

/** What is the node's own and stays; the path below `/` and below the node's folder is the same. */
const kept = ['etc', 'var', 'root', 'opt', 'home'] as const;

/** Of the machine's /etc, not for a node: who may log in, and what other programs were told. */
const foreign = [
  'shadow',
  'shadow-',
  'gshadow',
  'gshadow-',
  'ssh',
  'sudoers',
  'sudoers.d',
  'kubernetes',
  'containerd',
  'containers',
  'docker',
  'crio',
  'cni',
  'rancher',
  'systemd',
  'resolv.conf',
  'hosts',
  'hostname',
  'machine-id',
  'environment',
];

/** Writes the folders and `files` (path on the node -> content) of a new node. */
export function writeNodeRoot(folder: string, files: Readonly<Record<string, string>>): void {
  execFileSync('cp', ['--archive', '/etc', join(folder, 'etc')]);
  for (const name of foreign) rmSync(join(folder, 'etc', name), { recursive: true, force: true });
  for (const name of [
    'root',
    'opt',
    'home',
    'tmp',
    'mount',
    'var/lib',
    'var/log',
    'var/cache',
    'var/tmp',
    'var/spool',
  ])
    mkdirSync(join(folder, name), { recursive: true });
  symlinkSync('/run', join(folder, 'var/run'));
  symlinkSync('/run/lock', join(folder, 'var/lock'));
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), content, {
      mode: /\.key$|kubernetes\/.*\.conf$/.test(path) ? 0o600 : 0o644,
    });
  }
}

/** Where a path of the node lies for others; only what outlives a reboot lies anywhere. */
export function keptPath(folder: string, path: string): string {
  if (kept.some((name) => path === `/${name}` || path.startsWith(`/${name}/`))) return join(folder, path);
  throw new TypeError(`Only /${kept.join(', /')} of a node are kept: ${path} is not there`);
}

/** Where the folders of programs are on the node, in their order. */
export function programFolders(count: number): string[] {
  return Array.from({ length: count }, (_, at) => `/programs/${at}`);
}

/** Makes the root the first process's, with the folders of programs (of the machine) below /programs. */
export function rootPreparation(folder: string, name: string, programs: readonly string[]): Preparation {
  const settings = Object.entries(settled).filter(([path]) => existsSync(`/proc/sys/${path}`));
  const script = [
    'node=$1; root=$1/mount; hostname "$2"; shift 2',
    'mount -t tmpfs -o mode=755,size=16m node "$root"',
    'cd "$root"',
    `mkdir usr tmp run dev proc sys mnt srv machine programs ${kept.join(' ')}`,
    'mount --rbind /usr usr && mount -o remount,bind,ro usr',
    // Links into /usr, or folders where they are not merged.
    'for each in bin sbin lib lib32 lib64 libx32; do',
    '  if [ -L /$each ]; then cp -P /$each $each; elif [ -d /$each ]; then mkdir $each; mount --bind /$each $each; mount -o remount,bind,ro $each; fi',
    'done',
    `for each in ${kept.join(' ')} tmp; do mount --bind "$node/$each" $each; done`,
    'chmod 1777 tmp var/tmp',
    'number=0',
    'for each in "$@"; do mkdir programs/$number; mount --bind "$each" programs/$number; mount -o remount,bind,ro programs/$number; number=$((number + 1)); done',
    'mount -t tmpfs -o mode=755 run run && mkdir -m 1777 run/lock',
    'mount --rbind /dev dev && mount -t tmpfs shm dev/shm',
    'mount --rbind /sys sys',
    'mount --rbind /proc proc',
    // A kubelet sets these for the whole machine, unless it finds them so.
    'mkdir run/settled',
    ...settings.map(
      ([path, value]) =>
        `echo ${value} > run/settled/${path.replaceAll('/', '.')} && mount --bind run/settled/${path.replaceAll('/', '.')} proc/sys/${path}`,
    ),
    'pivot_root . machine',
    'cd /',
    'umount --lazy /machine && rmdir /machine',
    // What is mounted here later is seen in pods that ask for it.
    'mount --make-rshared /',
  ].join('\n');
  return { script, args: [folder, name, ...programs] };
}

/** What a kubelet wants of the machine (its `setupKernelTunables`). */
const settled = {
  'vm/overcommit_memory': 1,
  'vm/panic_on_oom': 0,
  'kernel/panic': 10,
  'kernel/panic_on_oops': 1,
  'kernel/keys/root_maxkeys': 1_000_000,
  'kernel/keys/root_maxbytes': 25_000_000,
};
