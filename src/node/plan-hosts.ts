/** Plans a mirror's lines in the hosts file, and takes lines, backup and record away. Pure. */
import { dirname } from 'node:path';
import type { Runtime } from '../api/node-mirror.ts';
import { splitHostPort } from '../api/upstream.ts';
import type { Action } from './action.ts';
import { readConfigs } from './containerd/config.ts';
import { certificatePath } from './docker-ca.ts';
import { hub, isClassicDocker, isWired, type NodeFacts, trustedNames } from './facts.ts';
import { type Finding, unusablePath } from './finding.ts';
import { type HostView, recordedFiles } from './host-view.ts';
import { mirrorsIn, planHostsFile, withoutMirrors } from './hosts-file.ts';
import type { FileRecord, JournalRecord } from './journal.ts';
import type { TargetPlan } from './managed-file.ts';
import { hostsEntries } from './mirror-endpoint.ts';
import type { NodePlaces, WiredMirror } from './options.ts';
import type { MirrorPlanInput } from './plan-mirror.ts';

/** The lines of one mirror, in the hosts file and in no other. */
export function planHosts(mirror: WiredMirror, input: MirrorPlanInput, view: HostView): TargetPlan {
  const isOurs = (name: string) => name === mirror.name;
  const others = hostsPaths(view).filter((path) => path !== input.places.hostsFile);
  const left = others.flatMap((path) => planHostsRemoval(path, isOurs, view));
  const plan = planLines(mirror, input, view);
  return { actions: [...plan.actions, ...left], findings: plan.findings };
}

/** Our lines go; once no mirror has a line left, so do the file (if it was ours alone), the backup we made and the record. */
export function planHostsRemoval(
  path: string,
  leaves: (mirror: string) => boolean,
  view: HostView,
): Action[] {
  const state = view.read(path);
  if (state.kind !== 'file' && state.kind !== 'absent') return [];
  const record = view.records.find((each) => each.path === path && each.kind === 'hosts');
  const expected = state.kind === 'file' ? state.content : Buffer.alloc(0);
  const content = withoutMirrors(expected, leaves);
  const last = mirrorsIn(content).length === 0;
  if (content.equals(expected)) return last && record !== undefined ? forgetHosts(path, record, view) : [];
  const rest = last ? forgetHosts(path, record, view) : [];
  const absentBefore = record?.kind === 'hosts' && record.original.kind === 'absent';
  if (content.length === 0 && absentBefore) return [{ do: 'delete', path, expected }, ...rest];
  return [{ do: 'write', path, content, expected, record: { kind: 'hosts' } }, ...rest];
}

/** Every hosts file that was ever written to. */
export function hostsPaths(view: HostView): string[] {
  return recordedFiles(view, 'hosts').map((record) => record.path);
}

function planLines(mirror: WiredMirror, input: MirrorPlanInput, view: HostView): TargetPlan {
  const path = input.places.hostsFile;
  const others = othersWithUpstream(mirror, input, view);
  const entries = hostsEntries(mirror, ledNames(mirror, input, others));
  const kept = notLed(mirror, input, others);
  const isOurs = (name: string) => name === mirror.name;
  if (entries.length === 0) return { actions: planHostsRemoval(path, isOurs, view), findings: kept };
  const state = view.read(path);
  if (state.kind !== 'file' && state.kind !== 'absent') {
    return { actions: [], findings: [unusablePath(path, state) ?? []].flat() };
  }
  const current = state.kind === 'file' ? state.content : undefined;
  const wired = current !== undefined && mirrorsIn(current).includes(mirror.name);
  const certificates = trustedNames(mirror, input.facts).map(certificatePath);
  const untrusted = certificates.filter((each) => input.failed.has(each) || view.read(each).kind !== 'file');
  if (untrusted.length > 0 && !wired) return { actions: [], findings: [notTrusted(path, untrusted)] };
  const policy = { mirror: mirror.name, foreignLines: mirror.foreignHostsLines, path };
  const plan = planHostsFile(current, entries, policy);
  const findings = [...kept, ...plan.findings];
  const { content } = plan;
  if (content === undefined) return { actions: [], findings };
  const record = { kind: 'hosts' as const, ...backupOf(input.places, view) };
  return {
    actions: [{ do: 'write', path, content, expected: current, record, after: certificates }],
    findings,
  };
}

/** The names that a line leads to the mirror. One of the upstream itself only where nothing else can, and while the mirror answers. */
function ledNames(
  mirror: WiredMirror,
  { facts, answers }: MirrorPlanInput,
  others: readonly Runtime[],
): string[] {
  if (mirror.clientCertificate) return [];
  const named = mirror.runtimes.includes('hosts');
  const upstreams = mirror.names.filter(({ upstream }) => upstream).map(({ name }) => hostOf(name));
  const isUpstream = (name: string) => upstreams.includes(hostOf(name));
  const needed = (name: string) => named || (name !== hub && isClassicDocker(mirror, facts));
  const wired = mirror.names.map(({ name }) => name).filter(needed);
  const always = mirror.hostsNames.filter(
    (name) => !isUpstream(name) || needed(name) || (name !== hub && findsNothing(mirror, facts)),
  );
  const mayLead = (name: string) =>
    !isUpstream(name) || (answers && (named || (isWatched(mirror) && others.length === 0)));
  return [...always, ...wired].filter(mayLead);
}

/** A line has no port. */
function hostOf(name: string): string {
  return splitHostPort(name).host;
}

/** Its forwarder asks it: a line for a name of the upstream is taken out when it does not answer. */
function isWatched({ endpoint }: WiredMirror): boolean {
  return endpoint === 'loopback';
}

/**
 * The runtimes beside Docker that go to the upstream by its name: a line would lead them to the mirror, whose certificate for that name they do not
 * trust. Where they are wired that is their fallback, and where they are not all that they have.
 */
function othersWithUpstream(mirror: WiredMirror, { facts }: MirrorPlanInput, view: HostView): Runtime[] {
  const hasFiles = (kind: FileRecord['kind']) => recordedFiles(view, kind, mirror.name).length > 0;
  const hasContainerd = facts.containerd?.running === true && hasFiles('containerd-hosts');
  const hasCrio =
    facts.crio?.running === true && (isWired('crio', mirror, facts) || hasFiles('containers-registries'));
  return [
    ...(hasContainerd || mayPullByContainerd(mirror, facts, view) ? ['containerd' as const] : []),
    ...(hasCrio ? ['crio' as const] : []),
  ];
}

/** A kubelet may pull by it, whether or not it can be wired; one without its CRI plugin is Docker's or a builder's. */
function mayPullByContainerd(
  mirror: WiredMirror,
  { containerd, ...facts }: NodeFacts,
  view: HostView,
): boolean {
  // One whose release is known has run a moment ago.
  const isThere = containerd?.running === true || containerd?.version !== undefined;
  if (!isThere || !isWired('containerd', mirror, { containerd, ...facts })) return false;
  const files = { read: view.read, list: (path: string) => view.list(path) ?? [] };
  const { configs } = readConfigs(files, containerd.version, containerd.configFile);
  return configs.length === 0 || configs.some(({ disabled }) => !disabled);
}

/** What a classic Docker is not led to, and why. */
function notLed(
  mirror: WiredMirror,
  { facts, places }: MirrorPlanInput,
  others: readonly Runtime[],
): Finding[] {
  if (facts.docker?.running !== true || !isClassicDocker(mirror, facts)) return [];
  const tell = (names: readonly string[], why: string): Finding[] => {
    const message = `Docker's pulls of ${names.join(', ')} go upstream: ${why}`;
    // Beside another runtime it may well be that nobody pulls by it.
    const finding = { reason: 'DockerNotLed', path: places.hostsFile, message, blocks: others.length === 0 };
    return names.length === 0 ? [] : [finding];
  };
  const upstreams = mirror.names.filter(({ upstream }) => upstream).map(({ name }) => name);
  const isHub = (name: string) => name === hub;
  const ofHub = mirror.endpoint === 'service' ? upstreams.filter(isHub) : [];
  const led = upstreams.filter((name) => !isHub(name));
  const { clientCertificate, runtimes } = mirror;
  const isNamed = runtimes.includes('hosts');
  return [
    ...tell(ofHub, 'it takes mirrors of Docker Hub on loopback alone (spec.nodes.endpoint)'),
    ...(clientCertificate
      ? tell(
          led,
          'the mirror asks for a certificate, which Docker has none of (spec.nodes.clientCertificate)',
        )
      : []),
    ...(!clientCertificate && !isNamed && others.length > 0
      ? tell(led, `a line would take the upstream away from ${others.join(', ')}`)
      : []),
    ...(!clientCertificate && !isNamed && others.length === 0 && !isWatched(mirror)
      ? tell(led, 'nobody would take the line out when the mirror is gone (spec.nodes.endpoint)')
      : []),
  ];
}

/** What runs on the node is not known, and nothing was named that has files of its own. */
function findsNothing({ runtimes }: WiredMirror, facts: NodeFacts): boolean {
  return runtimes.includes('auto') && Object.keys(facts).length === 0;
}

function forgetHosts(path: string, record: JournalRecord | undefined, view: HostView): Action[] {
  const forget: Action = { do: 'forget', path, after: [path] };
  if (record === undefined || record.kind === 'folder') return [forget];
  const { backup, original } = record;
  const state = backup === undefined ? undefined : view.read(backup);
  if (state?.kind === 'unusable') return [];
  if (backup === undefined || state?.kind !== 'file' || original.kind !== 'file') return [forget];
  if (!state.content.equals(Buffer.from(original.content, 'base64'))) return [forget];
  return [
    { do: 'delete', path: backup, expected: state.content, after: [path] },
    { ...forget, after: [path, backup] },
  ];
}

/** The backup's path if it is ours to make: a file that is there (or in place of its folder) is the first backup and stays. */
function backupOf({ hostsBackup }: NodePlaces, view: HostView): { backup?: string } {
  const path = view.read(hostsBackup).kind === 'folder' ? `${hostsBackup}/hosts` : hostsBackup;
  const exists = [path, dirname(path)].some((each) => view.read(each).kind === 'file');
  return exists ? {} : { backup: path };
}

function notTrusted(path: string, untrusted: readonly string[]): Finding {
  const message = `No line is written before ${untrusted.join(', ')} exists`;
  return { reason: 'NotTrusted', path, message, blocks: true };
}
