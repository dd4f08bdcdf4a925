/** A node agent of the test's node: the real executable, with the environment, rights and mounts that its DaemonSet gives it. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { nodeCommonName, operatorCommonName } from '../../../src/api/names.ts';
import type { NodeReport } from '../../../src/api/node-report.ts';
import { issueLeaf } from '../../../src/cache/tls/authority.ts';
import { daemonSetView } from '../../../src/resources/daemon-set.ts';
import { mirrorOf, settingsOf } from '../../unit/resources/fixtures.ts';
import type { TestAuthority } from '../certificates.ts';
import { eventually } from '../eventually.ts';
import { addresses } from './names.ts';
import type { Inside, Namespaces } from './namespaces.ts';

/** A mirror as the operator knows it. */
export interface WorldMirror {
  readonly name: string;
  readonly spec: Record<string, unknown>;
  /** The Service's. */
  readonly address: string;
  /** On the nodes. */
  readonly port: number;
}

/** A pair of PEM files. */
export interface Pair {
  readonly certFile: string;
  readonly keyFile: string;
}

export interface AgentPlace {
  readonly world: Namespaces;
  /** The operator's own. */
  readonly authority: TestAuthority;
  /** How the operator shows itself. */
  readonly operator: Pair;
}

export interface WorldAgent {
  readonly process: Inside;
  /** The folder of what its pod mounts beside the node's root. */
  readonly pod: string;
  /** Over mutual TLS, as the operator asks, or by another pair; rejects where it is refused. */
  readonly status: (pair?: Pair | 'none') => Promise<NodeReport>;
  /** On its unix socket; as root, or as the user of that id. */
  readonly local: (path?: string, uid?: number) => Promise<string>;
  /** Resolves once its last pass says so of its mirror. */
  readonly until: (
    is: (mirror: NodeReport['mirrors'][number]) => boolean,
    timeout?: number,
  ) => Promise<NodeReport>;
}

const executable = join(import.meta.dirname, '../../../bin/registry-mirror-operator');
const rights = '-all,+chown,+dac_override,+fowner,+kill';

/** The operator's own pair, which agents let restart runtimes. */
export async function operatorPair(authority: TestAuthority): Promise<Pair> {
  return writePair(authority, authority.dir, 'operator', [], operatorCommonName);
}

/** Starts the agent of a mirror. `program`: the executable, where it is not that of this checkout; `label`: of a second agent of one mirror. */
export async function startAgent(
  { world, authority, operator }: AgentPlace,
  mirror: WorldMirror,
  changes: Record<string, string> = {},
  { program = executable, label = mirror.name }: { program?: string; label?: string } = {},
): Promise<WorldAgent> {
  const pod = await makePod(world, authority, mirror, label);
  const env = environmentOf(world, pod, mirror, changes);
  const command = [program, 'node-agent'];
  const process_ = await world.start(`agent-${label}`, withRights(command), {
    env,
    prepare: podMounts(pod),
  });
  const name = nodeCommonName(mirror.name);
  const curl = ['curl', '--silent', '--show-error', '--fail', '--max-time', '5'];
  const status = async (pair: Pair | 'none' = operator) => {
    const place = `${name}:${mirror.port}`;
    const shown = pair === 'none' ? [] : ['--cert', pair.certFile, '--key', pair.keyFile];
    const tls = ['--cacert', authority.file, ...shown, '--resolve', `${place}:${addresses.node}`];
    return JSON.parse(await world.run([...curl, ...tls, `https://${place}/status`])) as NodeReport;
  };
  return {
    process: process_,
    pod,
    status,
    local: (path = '/status', uid = 0) => {
      const as = ['setpriv', `--reuid=${uid}`, '--clear-groups', '--'];
      return world.run([...as, ...curl, '--unix-socket', env['STATUS_SOCKET'] ?? '', `http://node${path}`]);
    },
    until: (is, timeout = 20_000) =>
      eventually(
        async () => {
          const report = await status();
          const [own] = report.mirrors;
          if (own === undefined || !is(own)) throw new Error(JSON.stringify(report, null, 1));
          return report;
        },
        { timeout, message: `The agent of ${mirror.name} did not say so` },
      ),
  };
}

/** Makes one pass of a mirror's agent in mode `restore`; rejects where something is left. */
export async function restoreOnce({ world, authority }: AgentPlace, mirror: WorldMirror): Promise<void> {
  const pod = await makePod(world, authority, mirror);
  const command = [executable, 'node-agent', '--mode', 'restore', '--once'];
  await world.run(withRights(command), { env: environmentOf(world, pod, mirror), prepare: podMounts(pod) });
}

/** `restore --all`, as a person on the node runs it. */
export async function restoreAll(world: Namespaces): Promise<void> {
  await world.run([executable, 'restore', '--all', '--host-root', world.hostRoot]);
}

export function environmentOf(
  world: Namespaces,
  pod: string,
  { name, spec, address, port }: WorldMirror,
  changes: Record<string, string> = {},
): Record<string, string> {
  const mirror = mirrorOf(spec, { name });
  const { agent } = daemonSetView(
    { mirror, settings: settingsOf() },
    {
      clusterIPs: [address],
      nodePort: port,
      mode: 'wire',
      ownerReferences: true,
      certificateNames: [String(spec['masqueradeUrl'] ?? `mirror-${spec['upstreamUrl']}`)],
    },
  );
  return {
    ...Object.fromEntries(agent.env.map((each) => [each.name, each.value])),
    NODE_NAME: 'node-one',
    STATUS_ADDRESSES: addresses.node,
    HOST_ROOT: world.hostRoot,
    CA_FILE: join(pod, 'trust/ca.crt'),
    CERT_FILE: join(pod, 'trust/tls.crt'),
    KEY_FILE: join(pod, 'trust/tls.key'),
    AUTHORITIES_FILE: join(pod, 'trust/peer-ca.crt'),
    READY_FILE: join(pod, 'run/ready'),
    FORWARDER_DIR: join(pod, 'run/forwarder'),
    STATUS_SOCKET: join(pod, 'run/status.sock'),
    ...changes,
  };
}

/** What the pod mounts beside the node's root: its trust and a folder to run in. */
export async function makePod(
  world: Namespaces,
  authority: TestAuthority,
  { name }: WorldMirror,
  label = name,
): Promise<string> {
  const pod = join(world.folder, `pod-${label}`);
  for (const folder of ['trust', 'run']) mkdirSync(join(pod, folder), { recursive: true });
  for (const file of ['ca.crt', 'peer-ca.crt'])
    writeFileSync(join(pod, 'trust', file), authority.certificatePem);
  const commonName = nodeCommonName(name);
  await writePair(authority, join(pod, 'trust'), 'tls', [commonName], commonName);
  return pod;
}

async function writePair(
  authority: TestAuthority,
  folder: string,
  label: string,
  names: readonly string[],
  commonName: string,
): Promise<Pair> {
  const usages = ['serverAuth', 'clientAuth'] as const;
  const pair = await issueLeaf(authority, { names, days: 1, commonName, usages });
  const [certFile, keyFile] = [join(folder, `${label}.crt`), join(folder, `${label}.key`)];
  writeFileSync(certFile, pair.certificatePem);
  writeFileSync(keyFile, pair.keyPem, { mode: 0o600 });
  return { certFile, keyFile };
}

/** A root file system that is read-only: whatever the agent writes lies on the node's root as it is mounted for it, or in its own folder. */
function podMounts(pod: string): string {
  const readOnly = ['/', '/etc', '/run', '/var/lib', '/root'].map(
    (path) => `mount -o remount,bind,ro ${path}`,
  );
  return [`mount --bind ${pod} ${pod}`, ...readOnly].join('; ');
}

function withRights(command: readonly string[]): string[] {
  return ['setpriv', `--bounding-set=${rights}`, `--inh-caps=${rights}`, '--no-new-privs', '--', ...command];
}
