/**
 * Plans the folder of one name: `hosts.toml`, `ca.crt` where the mirror is dialled over TLS, and `upstream.crt` with the certificates that
 * containerd trusted the upstream by until then. Pure.
 */
import type { NodeName } from '../../api/node-mirror.ts';
import type { Finding } from '../finding.ts';
import { type FilePlan, mirrorOf, planManagedFile } from '../managed-file.ts';
import type { PathInForce } from './config-path.ts';
import { folderFor, type Hidden, hiddenBy } from './host-folder.ts';
import { formatHostsToml, hostsIn, serverOf, servesMirror } from './hosts-toml.ts';
import type { ContainerdInput } from './input.ts';

export interface NamePlan extends FilePlan {
  /** The path of `hosts.toml`. */
  readonly hosts: string;
  /** The paths that are to stay if they are this mirror's, written now or not. */
  readonly wanted: readonly string[];
}

/** Returns what sends the pulls of `wired` to the mirror. All or nothing: no certificate is written for a `hosts.toml` that may not be. */
export function planName(wired: NodeName, path: PathInForce, input: ContainerdInput): NamePlan {
  const place = placeOf(wired, path, input);
  const { folder, hosts, ca, upstreamCa, hidden } = place;
  if (serves(hosts, input)) return { hosts, wanted: [], actions: [], findings: [] };
  const trust = planTrust(place, input);
  const file = planFile(hosts, textFor(wired, place, input), input);
  const findings = [
    ...unusableFolder(folder, input),
    ...ignored(hosts, input),
    ...hidden.findings,
    ...trust.findings,
    ...file.findings,
  ];
  // A file of ours that stays as it is may name any certificate.
  if (findings.some(({ blocks }) => blocks))
    return { hosts, wanted: [hosts, `${folder}/ca.crt`, upstreamCa], actions: [], findings };
  const wanted = [
    hosts,
    ...(ca === undefined ? [] : [ca]),
    ...(hidden.pem === undefined ? [] : [upstreamCa]),
  ];
  const after = trust.actions.map((action) => action.path);
  const actions = [...trust.actions, ...file.actions.map((action) => ({ ...action, after }))];
  return { hosts, wanted, actions, findings };
}

interface Place {
  readonly folder: string;
  readonly hosts: string;
  /** Undefined for a mirror that is dialled without TLS. */
  readonly ca: string | undefined;
  readonly upstreamCa: string;
  readonly hidden: Hidden;
}

function placeOf({ name, upstream }: NodeName, { roots }: PathInForce, input: ContainerdInput): Place {
  const folder = folderFor(name, roots[0], input);
  const hosts = `${folder}/hosts.toml`;
  const upstreamCa = `${folder}/upstream.crt`;
  const ca = input.endpoint.startsWith('https:') ? `${folder}/ca.crt` : undefined;
  const { pem, findings } = hiddenBy(folder, name, roots, input);
  // Of an alias no other server is asked that could be trusted by them.
  const hidden = pem !== undefined && upstream ? { pem, findings } : { findings };
  return { folder, hosts, ca, upstreamCa, hidden };
}

function planTrust({ hosts, ca, upstreamCa, hidden }: Place, input: ContainerdInput): FilePlan {
  const { bundle } = input;
  const absent = ca !== undefined && bundle === undefined && ownerOf(ca, input) === undefined;
  const parts = [
    ...(ca === undefined || bundle === undefined ? [] : [planFile(ca, bundle.pem, input)]),
    ...(hidden.pem === undefined ? [] : [planFile(upstreamCa, hidden.pem, input)]),
  ];
  return {
    actions: parts.flatMap(({ actions }) => actions),
    findings: [...(absent ? [notTrusted(hosts, ca)] : []), ...parts.flatMap(({ findings }) => findings)],
  };
}

/** A certificate that is not ours may be what the upstream is trusted by: it is never taken over. */
function planFile(path: string, body: string, { mirror, foreignFiles, read }: ContainerdInput): FilePlan {
  const policy = path.endsWith('.crt') ? 'refuse' : foreignFiles;
  return planManagedFile({ path, body, mirror, kind: 'containerd-hosts', foreignFiles: policy, read });
}

function textFor(
  { name, upstream, scheme }: NodeName,
  { ca, hidden }: Place,
  { endpoint }: ContainerdInput,
): string {
  const mirror = { endpoint, ...(ca !== undefined && { ca: 'ca.crt' }) };
  if (!upstream) return formatHostsToml({ ...mirror, only: true });
  const server = serverOf(name, scheme);
  return formatHostsToml({
    ...mirror,
    ...(server !== undefined && { server }),
    ...(hidden.pem !== undefined && { serverCa: 'upstream.crt' }),
  });
}

/** True for somebody else's file that does what ours would. */
function serves(hosts: string, { endpoint, read }: ContainerdInput): boolean {
  const state = read(hosts);
  return (
    state.kind === 'file' && mirrorOf(state.content) === undefined && servesMirror(state.content, endpoint)
  );
}

function ignored(path: string, { read }: ContainerdInput): Finding[] {
  const state = read(path);
  if (state.kind !== 'file' || mirrorOf(state.content) !== undefined || hostsIn(state.content) !== undefined)
    return [];
  return [
    { reason: 'IgnoredHosts', path, message: 'containerd ignores this file as a whole', blocks: false },
  ];
}

function ownerOf(path: string, { read }: ContainerdInput): string | undefined {
  const state = read(path);
  return state.kind === 'file' ? mirrorOf(state.content) : undefined;
}

function unusableFolder(path: string, { read }: ContainerdInput): Finding[] {
  const state = read(path);
  if (state.kind === 'absent' || state.kind === 'folder') return [];
  const why = state.kind === 'file' ? 'file' : state.why;
  return [{ reason: 'UnusablePath', path, message: `Not a folder: ${why}`, blocks: true }];
}

function notTrusted(path: string, ca: string): Finding {
  return {
    reason: 'NotTrusted',
    path,
    message: `No hosts.toml is written before ${ca} exists`,
    blocks: true,
  };
}
