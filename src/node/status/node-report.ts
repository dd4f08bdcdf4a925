/** What the agent says of its node, from its last pass and its forwarder. Pure. The main file of this folder. */

import type { Runtime } from '../../api/node-mirror.ts';
import type { ForwarderReport, MirrorOnNode, NodeReport, RuntimeOnNode } from '../../api/node-report.ts';
import { timestamp } from '../../api/timestamp.ts';
import { errorMessage } from '../../observe/error-message.ts';
import type { SignalledProcess } from '../action.ts';
import type { Liveness } from '../containerd/liveness.ts';
import { isClassicDocker, isWired, type NodeFacts } from '../facts.ts';
import type { Finding } from '../finding.ts';
import type { ForwarderStatus } from '../forwarder/forwarder.ts';
import type { AgentMode, WiredMirror } from '../options.ts';
import type { PassReport } from '../pass.ts';

export interface ReportInput {
  readonly node: string;
  readonly mode: AgentMode;
  readonly mirrors: readonly WiredMirror[];
  /** They are all that the node has. */
  readonly knowsAll: boolean;
  /** Of the list that they are from, where that has one. */
  readonly version?: number;
  readonly pass: PassReport;
  readonly facts: NodeFacts;
  readonly forwarder: readonly ForwarderStatus[];
  readonly forwarderFindings: readonly Finding[];
  /** Why a runtime was not restarted although the operator allowed it. */
  readonly restart: readonly Finding[];
  /** When the pass ended, in milliseconds since 1970. */
  readonly at: number;
}

const lives: Liveness = { live: true, reason: '', message: '' };

export function nodeReport(input: ReportInput): NodeReport {
  return {
    node: input.node,
    at: timestamp(new Date(input.at)),
    mode: input.mode,
    mirrors: input.mirrors.map((mirror) => mirrorReport(mirror, input)),
    ...(input.knowsAll && input.pass.owners && { owners: input.pass.owners }),
    ...(input.version !== undefined && { list: input.version }),
  };
}

function mirrorReport(mirror: WiredMirror, input: ReportInput): MirrorOnNode {
  const { pass, mode } = input;
  const plans = pass.targets.filter((target) => target.mirror === mirror.name);
  const own = plans.flatMap(({ findings }) => findings);
  const isAbout = (finding: Finding) => finding.mirror === undefined || finding.mirror === mirror.name;
  const isPlanned = (finding: Finding) => pass.targets.some((target) => target.findings.includes(finding));
  const shared = pass.findings.filter((finding) => !isPlanned(finding) && isAbout(finding));
  const findings = [
    ...own,
    ...shared,
    ...failures(
      plans.flatMap(({ actions }) => actions),
      pass,
    ),
    ...input.forwarderFindings.filter(isAbout),
    ...(mirror.containerd === 'configureAndRestart' ? input.restart : []),
  ];
  return {
    name: mirror.name,
    complete: mode === 'restore' ? pass.complete : !findings.some(({ blocks }) => blocks),
    forwarder: forwarderReport(input.forwarder.find(({ name }) => name === mirror.name)),
    runtimes: mode === 'restore' ? [] : runtimeReports(mirror, input),
    findings: findings.map(({ reason, path, message, blocks }) => ({
      reason,
      ...(path !== undefined && { path }),
      message,
      blocks,
    })),
  };
}

function runtimeReports(mirror: WiredMirror, input: ReportInput): RuntimeOnNode[] {
  const reports = shownRuntimes(mirror, input).map((each) => runtimeReport(each, mirror, input));
  const forwarder = input.forwarder.find(({ name }) => name === mirror.name);
  const users = reports.filter(({ runtime, wired, live }) => runtime !== 'hosts' && wired && live);
  const isUsed = (forwarder?.connections ?? 0) > 0;
  // Who connects cannot be told; nobody, or the only one who can, may be.
  if (forwarder === undefined || (isUsed && users.length > 1)) return reports;
  return reports.map((report) => (users.includes(report) ? { ...report, used: isUsed } : report));
}

function runtimeReport(runtime: Runtime, mirror: WiredMirror, input: ReportInput): RuntimeOnNode {
  const { facts, pass } = input;
  const found = runtime === 'hosts' ? undefined : facts[runtime];
  const plans = pass.targets.filter((target) => target.mirror === mirror.name && target.runtime === runtime);
  const [fault] = [
    ...portFaults(runtime, mirror, input),
    ...plans.flatMap(({ findings }) => findings.filter((finding) => keepsUnwired(finding, runtime))),
    ...failures(
      plans.flatMap(({ actions }) => actions),
      pass,
    ),
    ...notTried(plans, pass),
  ];
  const wired = fault === undefined;
  const liveness = wired
    ? livenessOf(runtime, input)
    : { live: false, reason: fault.reason, message: fault.message };
  return {
    runtime,
    found: runtime === 'hosts' || found !== undefined,
    ...(found?.version !== undefined && { version: found.version }),
    wired,
    ...liveness,
    ...(runtime === 'containerd' && needsRestart(mirror, liveness, input) && { restartNeeded: true }),
  };
}

/** Runtimes are not led to a port of the loopback that another program has. */
function portFaults(runtime: Runtime, { name }: WiredMirror, { forwarder }: ReportInput): Finding[] {
  const status = forwarder.find((each) => each.name === name);
  if (runtime === 'hosts' || status?.reason !== 'PortTaken') return [];
  return [{ reason: 'PortTaken', message: status.detail, blocks: true }];
}

/** `DockerNotLed`: nothing is missing that could be there, and yet nothing leads Docker to the mirror. */
function keepsUnwired({ reason, blocks }: Finding, runtime: Runtime): boolean {
  return blocks || (runtime === 'docker' && reason === 'DockerNotLed');
}

/** Those that are found or named. */
function shownRuntimes(mirror: WiredMirror, { facts }: ReportInput): Runtime[] {
  const runtimes = (['docker', 'containerd', 'crio'] as const).filter((runtime) =>
    isWired(runtime, mirror, facts),
  );
  const lines =
    mirror.hostsNames.length > 0 || mirror.runtimes.includes('hosts') || isClassicDocker(mirror, facts);
  return lines && !mirror.clientCertificate ? [...runtimes, 'hosts'] : runtimes;
}

const reloaded: Partial<Record<Runtime, SignalledProcess>> = { docker: 'dockerd', crio: 'crio' };

function livenessOf(runtime: Runtime, { facts, pass }: ReportInput): Liveness {
  if (runtime === 'hosts') return lives;
  if (facts[runtime]?.running !== true)
    return { live: false, reason: 'NotRunning', message: `${runtime} does not run` };
  if (runtime === 'containerd') return pass.containerd ?? lives;
  const process = reloaded[runtime];
  if (process !== undefined && pass.owed.includes(process))
    return {
      live: false,
      reason: 'NotReloaded',
      message: `${process} was not told yet to read its configuration again`,
    };
  return lives;
}

/** Only for what we have configured ourselves. */
function needsRestart(mirror: WiredMirror, { reason }: Liveness, { pass }: ReportInput): boolean {
  return (
    mirror.containerd === 'configureAndRestart' &&
    reason === 'NotRestarted' &&
    pass.configured.includes(mirror.name)
  );
}

/** What of these actions failed in the pass. */
function failures(actions: TargetActions, { results }: PassReport): Finding[] {
  const paths = new Set(actions.map(({ path }) => path));
  return results.flatMap(({ action, error }) => {
    if (error === undefined || action.path === undefined || !paths.has(action.path)) return [];
    return [{ reason: 'WriteFailed', path: action.path, message: errorMessage(error), blocks: true }];
  });
}

/** What was not begun; of what nobody could look at, nothing is known. */
function notTried(plans: PassReport['targets'], { refusal }: PassReport): Finding[] {
  const isInPlace = plans.length > 0 && plans.every(({ actions }) => actions.length === 0);
  return refusal === undefined || isInPlace ? [] : [refusal];
}

type TargetActions = PassReport['targets'][number]['actions'];

function forwarderReport(status: ForwarderStatus | undefined): ForwarderReport | null {
  if (status === undefined) return null;
  const { port, offered, since, reason, detail, connections, bytesToClients, lastUsed } = status;
  return {
    port,
    offered,
    ...(since > 0 && { since: timestamp(new Date(since)) }),
    reason,
    detail,
    connections,
    bytes: bytesToClients,
    ...(lastUsed !== undefined && { lastUsed: timestamp(new Date(lastUsed)) }),
  };
}
