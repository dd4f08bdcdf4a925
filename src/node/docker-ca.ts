/**
 * Plans Docker's trust: `certs.d/<name>/ca.crt`, read by dockerd (and by containerd's defaults) on every pull. Pure.
 *
 * The folder is the domain of the image reference as it stands there (moby `hostCertsDir`): `host`, `host:port`, `[fd00::1]`. Only `ca.crt`:
 * a `.key` without its `.cert` breaks every pull from that host. The header before the first PEM block is ignored by Go's `encoding/pem`
 * and OpenSSL alike; it makes the file ours, so that ownership does not hang on the journal alone.
 */
import { createHash } from 'node:crypto';
import { isIPv6 } from 'node:net';
import type { Action } from './action.ts';
import { type CaBundle, parseCaBundle } from './ca-bundle.ts';
import type { FileState } from './files.ts';
import type { Finding } from './finding.ts';

export const certificatesFolder = '/etc/docker/certs.d';

export interface DockerCaInput {
  readonly mirror: string;
  /** Folder names, as in image references. */
  readonly names: readonly string[];
  /** Undefined when there is no usable CA: what lies on the node stays. */
  readonly bundle: CaBundle | undefined;
  /** The files that the journal says this mirror made. */
  readonly recorded: readonly string[];
  readonly read: (path: string) => FileState;
}

export interface DockerCaPlan {
  readonly actions: readonly Action[];
  readonly findings: readonly Finding[];
}

/** Returns what makes each name trusted and what takes back the files of this mirror for other names. */
export function planDockerCa(input: DockerCaInput): DockerCaPlan {
  const wanted = new Set(input.names.map(certificatePath));
  const parts = [...wanted].map((path) => planTrust(path, input));
  const undone = input.recorded.filter((path) => !wanted.has(path));
  return {
    actions: [
      ...parts.flatMap((part) => part.actions),
      ...planDockerCaRemoval(input.mirror, undone, input.read),
    ],
    findings: parts.flatMap((part) => part.findings),
  };
}

/** Returns what removes those of `paths` that are still this mirror's; a file that became somebody else's is only forgotten. */
export function planDockerCaRemoval(
  mirror: string,
  paths: readonly string[],
  read: (path: string) => FileState,
): Action[] {
  return paths.flatMap((path): Action[] => {
    const state = read(path);
    if (state.kind === 'unusable') return [];
    if (state.kind !== 'file' || headerOf(state.content)?.mirror !== mirror) return [{ do: 'forget', path }];
    return [
      { do: 'delete', path, expected: state.content },
      { do: 'forget', path, after: [path] },
    ];
  });
}

/** The host path of the file that makes `name` trusted. */
export function certificatePath(name: string): string {
  return `${certificatesFolder}/${isIPv6(name) ? `[${name}]` : name}/ca.crt`;
}

function planTrust(path: string, input: DockerCaInput): DockerCaPlan {
  const state = input.read(path);
  if (state.kind === 'folder' || state.kind === 'unusable') {
    return refused(path, 'UnusablePath', `Not a file: ${state.kind === 'folder' ? 'folder' : state.why}`);
  }
  if (input.bundle === undefined) return { actions: [], findings: [] };
  const content = Buffer.from(withHeader(input.mirror, input.bundle.pem));
  if (state.kind === 'absent') return { actions: [writeOf(path, content, undefined, input)], findings: [] };
  if (state.content.equals(content)) return { actions: [], findings: [] };
  const header = headerOf(state.content);
  if (header?.mirror === input.mirror) return rewritten(path, content, state.content, header, input);
  if (trusts(state.content, input.bundle)) return { actions: [], findings: [] };
  return header === undefined
    ? refused(path, 'ForeignCertificate', 'A foreign ca.crt with other certificates is kept')
    : refused(path, 'FileOfOtherMirror', `The file belongs to mirror ${header.mirror}`);
}

function rewritten(
  path: string,
  content: Buffer,
  expected: Buffer,
  header: Header,
  input: DockerCaInput,
): DockerCaPlan {
  const edited = {
    reason: 'EditedFile',
    path,
    message: 'The file was edited and is rewritten',
    blocks: false,
  };
  return {
    actions: [writeOf(path, content, expected, input)],
    findings: header.intact ? [] : [edited],
  };
}

function writeOf(path: string, content: Buffer, expected: Buffer | undefined, input: DockerCaInput): Action {
  return { do: 'write', path, content, expected, record: { kind: 'docker-ca', mirror: input.mirror } };
}

function refused(path: string, reason: string, message: string): DockerCaPlan {
  return { actions: [], findings: [{ reason, path, message, blocks: true }] };
}

interface Header {
  readonly mirror: string;
  /** The body is what the header's checksum says. */
  readonly intact: boolean;
}

function withHeader(mirror: string, body: string): string {
  return `# registry-mirror-operator: managed; ${mirror}; sha256 ${sha256(body)}\n${body}`;
}

function headerOf(content: Buffer): Header | undefined {
  const match = /^# registry-mirror-operator: managed; ([-a-z0-9]+); sha256 ([0-9a-f]{64})\r?\n(.*)$/s.exec(
    content.toString('latin1'),
  );
  if (match === null) return undefined;
  const [, mirror = '', sum, body = ''] = match;
  return { mirror, intact: sha256(body) === sum };
}

function trusts(content: Buffer, bundle: CaBundle): boolean {
  const present = parseCaBundle(content)?.fingerprints ?? [];
  return bundle.fingerprints.every((fingerprint) => present.includes(fingerprint));
}

function sha256(text: string): string {
  return createHash('sha256').update(text, 'latin1').digest('hex');
}
