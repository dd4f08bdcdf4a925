/**
 * Plans the drop-ins of CRI-O, podman and skopeo: one file per name in registries.conf.d, and the CA in certs.d where the mirror is not on
 * loopback. Pure.
 *
 * containers/image reads registries.conf, then the drop-ins by name; a later table replaces an earlier one with the same prefix, the longest
 * prefix wins, mirrors are tried in order, then `location`. There is no `?ns=`: an endpoint of several registries is told apart by a path. One
 * file or location that does not parse fails every pull, so what is not certain is not written. CRI-O reads them again on SIGHUP.
 */
import { stringify } from 'smol-toml';
import { reloadAfter } from './action.ts';
import { type CaBundle, trusts } from './ca-bundle.ts';
import type { FileState } from './files.ts';
import type { Finding } from './finding.ts';
import {
  dropInFolder,
  type ForeignRegistries,
  objection,
  type RegistriesView,
  readForeign,
  userFindings,
} from './foreign-registries.ts';
import type { FileRecord } from './journal.ts';
import {
  type ForeignFiles,
  mirrorOf,
  planManagedFile,
  planManagedRemoval,
  type TargetPlan,
} from './managed-file.ts';

export const certificatesFolder = '/etc/containers/certs.d';
const kind = 'containers-registries';

/** A name of image references that the mirror is to serve. */
export interface MirroredName {
  /** `host[:port]`. */
  readonly prefix: string;
  /** What is asked when the mirror has no answer, `host[:port][/path]`; undefined for an alias, which the mirror alone serves. */
  readonly upstream?: string;
  /** The upstream may be asked without TLS; containers/image has no word for "only so". */
  readonly insecure?: boolean;
}

/** Where the mirror listens. `location`: `host[:port][/path]`, the path where it serves several registries. */
export type MirrorEndpoint =
  | { readonly kind: 'loopback'; readonly location: string }
  /** `bundle` undefined: there is no usable CA; what lies on the node stays. */
  | { readonly kind: 'service'; readonly location: string; readonly bundle: CaBundle | undefined };

export interface ContainersRegistriesInput extends RegistriesView {
  readonly mirror: string;
  readonly names: readonly MirroredName[];
  readonly endpoint: MirrorEndpoint;
  /** `takeover`: an earlier file's table for the same name is out of force while ours is there. Never one that blocks. */
  readonly foreignFiles: ForeignFiles;
  /** True where a CRI-O runs that does not read the files again by itself. */
  readonly signalsCrio: boolean;
  /** The files of this kind that the journal says this mirror made. */
  readonly recorded: readonly FileRecord[];
}

/** Returns what sends each name to the mirror and takes back this mirror's files for other names. */
export function planContainersRegistries(input: ContainersRegistriesInput): TargetPlan {
  const { endpoint, names, mirror } = input;
  const foreign = readForeign(input);
  const verdicts = names.map((name) => judge(name, foreign, input));
  const served = verdicts.filter((verdict) => !verdict.refused).map(({ name }) => name);
  const needsTrust = endpoint.kind === 'service' && served.length > 0;
  const unclear = foreign.findings.length > 0;
  const trust = needsTrust && !unclear ? planTrust(endpoint, input) : nothing;
  const trusted = !needsTrust || unclear || isTrusted(endpoint, trust, input);
  const parts = served.map((name) => (unclear || !trusted ? nothing : planDropIn(name, trust, input)));
  const wanted = new Set(served.map(({ prefix }) => dropInPath(prefix)));
  if (needsTrust) wanted.add(trustPath(endpoint.location));
  const undone = planManagedRemoval(mirror, undoneFiles(wanted, input), input.read);
  const actions = [...trust.actions, ...parts.flatMap((part) => part.actions), ...undone];
  const reloads = actions.filter(({ path }) => path?.startsWith(dropInFolder));
  return {
    actions: [...actions, ...(input.signalsCrio ? reloadAfter('crio', reloads) : [])],
    findings: [
      ...foreign.findings,
      ...userFindings(input),
      ...verdicts.flatMap(({ findings }) => findings),
      ...trust.findings,
      ...(trusted ? [] : [untrusted(endpoint.location)]),
      ...parts.flatMap((part) => part.findings),
    ],
  };
}

/** The host path of a name's drop-in; what may not stand in a file name is escaped, so that no two names share one. */
export function dropInPath(prefix: string): string {
  const safe = prefix.replace(
    /[^A-Za-z0-9.-]/g,
    (each) => `_${each.charCodeAt(0).toString(16).padStart(2, '0')}`,
  );
  return `${dropInFolder}/50-registry-mirror-${safe}.conf`;
}

/** The host path of the CA for a location: the folder is its host and port as they stand there. */
export function trustPath(location: string): string {
  return `${certificatesFolder}/${location.split('/', 1)[0]}/ca.crt`;
}

const nothing: TargetPlan = { actions: [], findings: [] };

interface Verdict {
  readonly name: MirroredName;
  /** A file of ours for the name goes. */
  readonly refused: boolean;
  readonly findings: readonly Finding[];
}

/** May there be a drop-in for the name, seen what others say about it? */
function judge(name: MirroredName, { tables }: ForeignRegistries, input: ContainersRegistriesInput): Verdict {
  const { prefix, upstream = prefix } = name;
  const invalid = [prefix, upstream, input.endpoint.location].find((each) => !isLocation(each));
  if (invalid !== undefined) {
    const message = `${invalid} cannot stand in an image reference; with it every pull of ${prefix} would fail`;
    // In a cluster with both families images name the Service's first address; of the other nobody need be led.
    const isSecond = isIPv6Reference(prefix) && input.names.some((each) => isLocation(each.prefix));
    const finding = { reason: 'InvalidLocation', path: dropInPath(prefix), message, blocks: !isSecond };
    return { name, refused: true, findings: [finding] };
  }
  const against = tables.flatMap(
    (table) => objection(table, prefix, dropInPath(prefix), input.foreignFiles) ?? [],
  );
  const refusals = against.filter(({ blocks }) => blocks);
  return refusals.length > 0
    ? { name, refused: true, findings: refusals }
    : { name, refused: false, findings: against };
}

function planDropIn(name: MirroredName, trust: TargetPlan, input: ContainersRegistriesInput): TargetPlan {
  const { mirror, read } = input;
  const path = dropInPath(name.prefix);
  const plan = planManagedFile({
    path,
    body: bodyOf(name, input.endpoint),
    mirror,
    kind,
    foreignFiles: 'refuse',
    read,
  });
  const after = trust.actions.flatMap((action) => (action.do === 'write' ? [action.path] : []));
  return {
    ...plan,
    actions: plan.actions.map((action) => (action.do === 'write' ? { ...action, after } : action)),
  };
}

function bodyOf(
  { prefix, upstream, insecure = false }: MirroredName,
  { kind: where, location }: MirrorEndpoint,
): string {
  const mirror = { location, insecure: where === 'loopback' };
  const behind = { location: upstream, ...(insecure && { insecure }), mirror: [mirror] };
  const registry = { prefix, ...(upstream === undefined ? mirror : behind) };
  return `${stringify({ registry: [registry] }).trimEnd()}\n`;
}

function planTrust(endpoint: MirrorEndpoint, { mirror, read }: ContainersRegistriesInput): TargetPlan {
  const bundle = endpoint.kind === 'service' ? endpoint.bundle : undefined;
  if (bundle === undefined) return nothing;
  const path = trustPath(endpoint.location);
  const serves = (content: Buffer) => trusts(content, bundle);
  return planManagedFile({ path, body: bundle.pem, mirror, kind, foreignFiles: 'refuse', serves, read });
}

/** The CA lies there or is about to. */
function isTrusted(
  { location }: MirrorEndpoint,
  trust: TargetPlan,
  { read }: ContainersRegistriesInput,
): boolean {
  return (
    trust.actions.length > 0 || (trust.findings.length === 0 && read(trustPath(location)).kind === 'file')
  );
}

/** Files of ours that are not wanted: recorded ones, and those of refused names that the journal has lost. Drop-ins first, trust last. */
function undoneFiles(
  wanted: ReadonlySet<string>,
  { mirror, recorded, names, read }: ContainersRegistriesInput,
) {
  const isOurs = (state: FileState) => state.kind === 'file' && mirrorOf(state.content) === mirror;
  const unrecorded = names
    .map(({ prefix }) => dropInPath(prefix))
    .filter((path) => isOurs(read(path)) && !recorded.some((each) => each.path === path))
    .map((path) => ({ path, kind, original: { kind: 'absent' } }) as const);
  const undone = [...recorded, ...unrecorded].filter(({ path }) => !wanted.has(path));
  return undone.sort((one, other) => Number(isTrust(one)) - Number(isTrust(other)));
}

function isTrust({ path }: Pick<FileRecord, 'path'>): boolean {
  return path.startsWith(certificatesFolder);
}

const host =
  '(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)(?:\\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*(?::[0-9]+)?';
const component = '[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*';
const location = new RegExp(`^${host}(?:/${component})*$`);

/** As distribution's reference grammar has it, without IPv6 addresses, which came late to it: older programs fail on them. */
function isLocation(text: string): boolean {
  return location.test(text);
}

function isIPv6Reference(text: string): boolean {
  return /^\[[0-9A-Fa-f:.]+\](?::\d+)?$/.test(text);
}

function untrusted(location: string): Finding {
  const path = trustPath(location);
  return { reason: 'NotTrusted', path, message: 'No drop-in is written before it exists', blocks: true };
}
