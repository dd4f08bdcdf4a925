/** What a machine must have for a cluster, and what it lacks. */
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmdirSync, rmSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { type Hierarchy, mountedHierarchies, neededControllers } from './cgroups.ts';
import { systemPath } from './programs.ts';

/** What was found out about the machine. */
export interface Findings {
  readonly isRoot: boolean;
  /** Programs and files that are not there, each with the Debian package that has it. */
  readonly missing: readonly string[];
  /** A line of what it said for each trial that failed; undefined where none was made, because nobody may. */
  readonly failed: readonly { readonly trial: string; readonly said: string }[] | undefined;
  readonly hierarchies: readonly Hierarchy[];
  readonly folder: string;
}

/** Everything that stands in the way, in one message; undefined when nothing does. Pure. */
export function whatIsLacking(findings: Findings): string | undefined {
  const { isRoot, missing, failed, hierarchies, folder } = findings;
  const controllers = hierarchies.flatMap((hierarchy) => hierarchy.controllers);
  const without = neededControllers.filter((name) => !controllers.includes(name));
  const faults = [
    ...(isRoot ? [] : ['you are not root: nodes are namespaces, links and mounts, which only root may make']),
    ...missing.map((what) => `there is no ${what}`),
    ...(without.length === 0
      ? []
      : [
          `no mounted control group hierarchy has ${without.join(', ')} (of ${hierarchies.length} that are mounted)`,
        ]),
    ...(failed ?? []).map(({ trial, said }) => `${trialNames[trial]?.(folder) ?? trial} (it says: ${said})`),
  ];
  if (faults.length === 0) return undefined;
  return ['A cluster cannot be made on this machine:', ...faults.map((fault) => `  - ${fault}`)].join('\n');
}

/** Looks at the machine; `folder` is where the cluster would lie, whose nodes are to enforce NetworkPolicies or not. */
export async function examineMachine(folder: string, { networkPolicies = false } = {}): Promise<Findings> {
  const isRoot = process.getuid?.() === 0;
  const failed = isRoot
    ? await makeTrials(folder, networkPolicies ? [trials, policyTrials].join('') : trials)
    : undefined;
  const needed = networkPolicies ? { ...neededPrograms, ...policyPrograms } : neededPrograms;
  return { isRoot, missing: missingPrograms(needed), failed, hierarchies: mountedHierarchies(), folder };
}

const trialNames: Readonly<Record<string, (folder: string) => string>> = {
  namespaces: () =>
    'the kernel, or who runs this, allows no network, mount, process, host name and IPC namespaces',
  bridge: () => 'the kernel has no bridge (CONFIG_BRIDGE)',
  veth: () => 'the kernel has no pairs of links (CONFIG_VETH)',
  nat: () => 'iptables has no nat table, or no MASQUERADE, in this kernel',
  matches: () =>
    'iptables has not all that kube-proxy uses in this kernel: comment, conntrack, mark, statistic, addrtype',
  bridgeRules: () =>
    'packets on a bridge do not pass iptables (br_netfilter), so a Service does not reach a pod on the same node',
  policies: () =>
    'the kernel or iptables has not all that kube-router enforces NetworkPolicies by: ipset, and in iptables set, physdev, multiport, limit, NFLOG, REJECT',
  overlay: (folder) =>
    `overlayfs does not work on the file system of ${folder}; CLUSTER_FOLDER names another folder, on ext4, xfs or btrfs`,
};

/** Each in a network and mounts that go at its end. `$1` is a folder of its own. */
const trials = `
try() { name=$1; shift; said=$(eval "$*" 2>&1) || echo "$name $(echo "$said" | tail -n 1)"; }
try bridge 'ip link add probe0 type bridge'
try veth 'ip link add probe1 type veth peer name probe2'
try nat 'iptables --wait -t nat -A POSTROUTING -s 10.244.0.0/16 -j MASQUERADE'
try matches 'iptables --wait -t nat -A PREROUTING -m comment --comment c -m conntrack --ctstate NEW -m mark --mark 1/1 -m statistic --mode random --probability 0.5 -m addrtype --dst-type LOCAL -j ACCEPT'
try bridgeRules 'cat /proc/sys/net/bridge/bridge-nf-call-iptables'
mkdir "$1/lower" "$1/upper" "$1/work" "$1/mount"
try overlay 'mount -t overlay overlay -o "lowerdir=$folder/lower,upperdir=$folder/upper,workdir=$folder/work" "$folder/mount" && touch "$folder/mount/file"'
`;

const policyTrials = `
try policies 'ipset create probe hash:ip timeout 0 && iptables --wait -A FORWARD -m physdev --physdev-is-bridged -m set --match-set probe src -p tcp -m multiport --dports 1:2 -m limit --limit 10/minute -j NFLOG && iptables --wait -A FORWARD -j REJECT'
`;

async function makeTrials(folder: string, script: string): Promise<{ trial: string; said: string }[]> {
  const isNew = mkdirSync(folder, { recursive: true }) !== undefined;
  const own = mkdtempSync(join(folder, 'probe-'));
  try {
    const args = ['--net', '--mount', '--pid', '--uts', '--ipc', '--fork', '--kill-child', '--mount-proc'];
    const env = { PATH: systemPath, folder: own };
    const { stdout } = await promisify(execFile)('unshare', [...args, 'sh', '-c', script, 'sh', own], {
      env,
    });
    return stdout.split('\n').filter(Boolean).map(trialOf);
  } catch (error) {
    return [{ trial: 'namespaces', said: String((error as { stderr?: string }).stderr ?? error).trim() }];
  } finally {
    rmSync(own, { recursive: true, force: true });
    if (isNew) rmdirSync(folder);
  }
}

function trialOf(line: string): { trial: string; said: string } {
  const [trial = '', ...said] = line.split(' ');
  return { trial, said: said.join(' ') };
}

/** `scripts/setup cluster` installs them. */
const neededPrograms = {
  ip: 'iproute2',
  tc: 'iproute2',
  iptables: 'iptables',
  conntrack: 'conntrack',
  nsenter: 'util-linux',
  pivot_root: 'util-linux',
  runc: 'runc',
  '/usr/lib/cni/bridge': 'containernetworking-plugins',
  busybox: 'busybox-static',
};

/** And `scripts/setup e2e` these. */
const policyPrograms = { ipset: 'ipset' };

function missingPrograms(needed: Readonly<Record<string, string>>): string[] {
  const folders = systemPath.split(delimiter);
  const isThere = (name: string) =>
    name.startsWith('/') ? existsSync(name) : folders.some((folder) => existsSync(join(folder, name)));
  const missing = Object.entries(needed).filter(([name]) => !isThere(name));
  const named = missing.map(([name, debian]) => `${name} (Debian package ${debian})`);
  return isThere('busybox') && !isBusyboxStatic()
    ? [...named, 'busybox that needs no libraries (Debian package busybox-static)']
    : named;
}

/** One that is not names its loader at the beginning of the file. */
function isBusyboxStatic(): boolean {
  return !readFileSync('/usr/bin/busybox').subarray(0, 4096).includes('/ld-linux');
}
