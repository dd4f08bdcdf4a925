/** What wires one mirror on a node: a plan for each runtime, in the order in which they are carried out. Pure. */
import type { NodeName, Runtime } from '../api/node-mirror.ts';
import type { CaBundle } from './ca-bundle.ts';
import type { PathInForce } from './containerd/config-path.ts';
import { planContainerdConfig, planContainerdConfigRemoval } from './containerd/configure.ts';
import { type ContainerdPlan, planContainerd, planHostFolders } from './containerd/target.ts';
import { type MirroredName, planContainersRegistries } from './containers-registries.ts';
import { certificatesFolder, planDockerCa } from './docker-ca.ts';
import { planDockerDaemon, planDockerDaemonRemoval } from './docker-daemon.ts';
import { hub, isClassicDocker, isWired, type NodeFacts, trustedNames } from './facts.ts';
import type { Finding } from './finding.ts';
import { type HostView, recordedFiles, viewAfter } from './host-view.ts';
import type { TargetPlan } from './managed-file.ts';
import { endpointUrl, mirrorEndpoint } from './mirror-endpoint.ts';
import type { NodePlaces, WiredMirror } from './options.ts';
import { planHosts } from './plan-hosts.ts';

/** What decides over a mirror's wiring beside the mirror. */
export interface MirrorPlanInput {
  readonly places: NodePlaces;
  readonly facts: NodeFacts;
  /** Undefined: there is no usable CA; what lies on the node stays. */
  readonly bundle: CaBundle | undefined;
  /** False while it is known that the mirror does not answer: lines that nothing stands behind are taken out. */
  readonly answers: boolean;
  /** Paths that could not be written just now: what needs them is planned without. */
  readonly failed: ReadonlySet<string>;
}

/** One runtime's part. */
export interface TargetOfMirror extends TargetPlan {
  readonly mirror: string;
  readonly runtime: Runtime;
}

type Planner = (mirror: WiredMirror, input: MirrorPlanInput, view: HostView) => TargetPlan;

/** Trust first, and the hosts file last: a line in it without trust would break pulls that work without a mirror. */
const targets: readonly (readonly [Runtime, Planner])[] = [
  ['docker', planTrust],
  ['docker', planDaemon],
  ['containerd', planConfigPath],
  ['containerd', planContainerdTarget],
  ['crio', planRegistries],
  ['hosts', planHosts],
];

/** Returns the plans and the view after them. */
export function planMirror(
  mirror: WiredMirror,
  input: MirrorPlanInput,
  before: HostView,
): { readonly plans: readonly TargetOfMirror[]; readonly view: HostView } {
  let view = before;
  const plans: TargetOfMirror[] = [];
  for (const [runtime, planner] of targets) {
    const plan = planner(mirror, input, view);
    plans.push({ mirror: mirror.name, runtime, ...plan });
    view = viewAfter(view, plan.actions);
  }
  return { plans, view };
}

function planTrust(mirror: WiredMirror, { facts, bundle }: MirrorPlanInput, view: HostView): TargetPlan {
  return planDockerCa({
    mirror: mirror.name,
    names: trustedNames(mirror, facts),
    bundle,
    recorded: recordedFiles(view, 'docker-ca', mirror.name),
    read: view.read,
  });
}

function planDaemon(mirror: WiredMirror, { facts }: MirrorPlanInput, view: HostView): TargetPlan {
  const [record] = recordedFiles(view, 'docker-daemon');
  const shared = { record, read: view.read };
  const url = endpointUrl(mirror);
  const isHub = mirror.names.some(({ name, upstream }) => name === hub && upstream);
  if (!isHub || url === undefined || mirror.endpoint !== 'loopback' || !isClassicDocker(mirror, facts)) {
    const leaves = (name: string) => name === mirror.name;
    const removal = planDockerDaemonRemoval({ ...shared, leaves, owed: isOwed(view) });
    return { ...removal, findings: [...removal.findings, ...withoutCertificate(mirror, facts)] };
  }
  // Which arguments it is started with is only seen while it runs, and beside one of the same meaning it would not start.
  if (facts.docker?.running === false) return { actions: [], findings: [] };
  const { commandLine } = facts.docker ?? {};
  return planDockerDaemon({ ...shared, mirror: mirror.name, url, ...(commandLine && { commandLine }) });
}

/** A Docker that dials the mirror itself has no certificate to show: nothing is written that leads it there. */
function withoutCertificate(mirror: WiredMirror, facts: NodeFacts): Finding[] {
  const names = mirror.names.map(({ name }) => name).join(', ');
  if (!mirror.clientCertificate || names === '' || !isClassicDocker(mirror, facts)) return [];
  const message = `Docker's pulls of ${names} do not go to the mirror: only the node's forwarder can show the certificate that it asks for`;
  return [{ reason: 'DockerNotLed', message, blocks: false }];
}

function isOwed({ owed = [] }: HostView): boolean {
  return owed.includes('dockerd');
}

/** Before the folders that it names: what is to be in force is wired already. */
function planConfigPath(mirror: WiredMirror, { facts }: MirrorPlanInput, view: HostView): TargetPlan {
  const [record] = recordedFiles(view, 'containerd-config');
  const isOurs = (name: string) => name === mirror.name;
  const found = isWired('containerd', mirror, facts) && mirror.names.length > 0;
  if (mirror.containerd === 'report' || !found)
    return planContainerdConfigRemoval({ leaves: isOurs, record, read: view.read });
  const { version, configFile } = facts.containerd ?? {};
  return planContainerdConfig({
    mirror: mirror.name,
    found,
    ...(version !== undefined && { release: version }),
    ...(configFile !== undefined && { configFile }),
    record,
    read: view.read,
    list: (path) => view.list(path) ?? [],
  });
}

/** Docker's own folders are read as containerd's by its newer store. */
export function planContainerdTarget(
  mirror: WiredMirror,
  input: Pick<MirrorPlanInput, 'facts' | 'bundle'>,
  view: HostView,
): ContainerdPlan {
  const { facts, bundle } = input;
  const endpoint = endpointUrl(mirror);
  const isFound = isWired('containerd', mirror, facts);
  const inDocker = isWired('docker', mirror, facts) && !isClassicDocker(mirror, facts);
  const { version: release, configFile } = facts.containerd ?? {};
  const common = {
    mirror: mirror.name,
    bundle,
    foreignFiles: mirror.foreignFiles,
    ...(release !== undefined && { release }),
    ...(configFile !== undefined && { configFile }),
    recorded: recordedFiles(view, 'containerd-hosts', mirror.name),
    read: view.read,
    list: (path: string) => view.list(path) ?? [],
  };
  if (endpoint === undefined || mirror.names.length === 0 || !(isFound || inDocker))
    return planHostFolders([], { ...common, names: [], endpoint: '', found: false });
  const wanted = { ...common, names: mirror.names, endpoint, found: isFound };
  const dockers: PathInForce[] = inDocker ? [{ roots: [certificatesFolder] }] : [];
  return isFound ? planContainerd(wanted, dockers) : planHostFolders(dockers, wanted);
}

function planRegistries(mirror: WiredMirror, input: MirrorPlanInput, view: HostView): TargetPlan {
  const { facts, bundle } = input;
  const endpoint = mirrorEndpoint(mirror, bundle);
  const recorded = recordedFiles(view, 'containers-registries', mirror.name);
  const isFound = endpoint !== undefined && isWired('crio', mirror, facts);
  if (!isFound && recorded.length === 0) return { actions: [], findings: [] };
  const plan = planContainersRegistries({
    mirror: mirror.name,
    names: isFound ? mirror.names.map(mirroredName) : [],
    endpoint: endpoint ?? { kind: 'loopback', location: 'localhost' },
    foreignFiles: mirror.foreignFiles,
    signalsCrio: facts.crio?.running === true,
    recorded,
    read: view.read,
    list: view.list,
  });
  return isFound ? plan : { ...plan, findings: [] };
}

function mirroredName({ name, upstream, scheme }: NodeName): MirroredName {
  return { prefix: name, ...(upstream && { upstream: name, insecure: scheme === 'http' }) };
}
