/**
 * Plans Docker's trust: `certs.d/<name>/ca.crt`, read by dockerd (and by containerd's defaults) on every pull. Pure.
 *
 * The folder is the domain of the image reference as it stands there (moby `hostCertsDir`): `host`, `host:port`, `[fd00::1]`. Only `ca.crt`:
 * a `.key` without its `.cert` breaks every pull from that host. The header before the first PEM block is ignored by Go's `encoding/pem`
 * and OpenSSL alike; it makes the file ours, so that ownership does not hang on the journal alone.
 */
import { isIPv6 } from 'node:net';
import { type CaBundle, trusts } from './ca-bundle.ts';
import type { FileState } from './files.ts';
import { unusablePath } from './finding.ts';
import type { FileRecord } from './journal.ts';
import { planManagedFile, planManagedRemoval, type TargetPlan } from './managed-file.ts';

export const certificatesFolder = '/etc/docker/certs.d';

export interface DockerCaInput {
  readonly mirror: string;
  /** Folder names, as in image references. */
  readonly names: readonly string[];
  /** Undefined when there is no usable CA: what lies on the node stays. */
  readonly bundle: CaBundle | undefined;
  /** The files that the journal says this mirror made. */
  readonly recorded: readonly FileRecord[];
  readonly read: (path: string) => FileState;
}

/** Returns what makes each name trusted and what takes back the files of this mirror for other names. */
export function planDockerCa(input: DockerCaInput): TargetPlan {
  const wanted = new Set(input.names.map(certificatePath));
  const parts = [...wanted].map((path) => planTrust(path, input));
  const undone = input.recorded.filter(({ path }) => !wanted.has(path));
  return {
    actions: [
      ...parts.flatMap((part) => part.actions),
      ...planManagedRemoval(input.mirror, undone, input.read),
    ],
    findings: parts.flatMap((part) => part.findings),
  };
}

/** The host path of the file that makes `name` trusted. */
export function certificatePath(name: string): string {
  return `${certificatesFolder}/${isIPv6(name) ? `[${name}]` : name}/ca.crt`;
}

function planTrust(path: string, { mirror, bundle, read }: DockerCaInput): TargetPlan {
  if (bundle === undefined) return { actions: [], findings: [unusablePath(path, read(path)) ?? []].flat() };
  const serves = (content: Buffer) => trusts(content, bundle);
  return planManagedFile({
    path,
    body: bundle.pem,
    mirror,
    kind: 'docker-ca',
    foreignFiles: 'refuse',
    serves,
    read,
  });
}
