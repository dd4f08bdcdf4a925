/** What a node's report says to people. Pure. */
import type {
  FindingReport,
  ForwarderReport,
  MirrorOnNode,
  NodeReport,
  RuntimeOnNode,
} from '../api/node-report.ts';
import { sizeText } from './size-text.ts';

/** One node: a line for it, for each mirror, for each runtime, and for what is wrong. */
export function reportLines(report: NodeReport): string[] {
  const { node, mirrors, at, mode } = report;
  const complete = mirrors.filter((mirror) => mirror.complete).length;
  const what = mode === 'wire' ? 'wired to' : 'restored from';
  const head = `${node || 'this node'}: ${what} ${complete} of ${mirrors.length} mirrors (${at})`;
  const left = (report.owners ?? []).filter((owner) => !mirrors.some(({ name }) => name === owner));
  return [
    head,
    ...mirrors.flatMap((mirror) => mirrorLines(mirror).map((line) => `  ${line}`)),
    ...left.map(
      (owner) => `  ${owner}: has something here, and is wired by another agent or about to be taken back`,
    ),
  ];
}

/** True when everything desired is in place. */
export function isWell({ mirrors }: NodeReport): boolean {
  return mirrors.every(({ complete }) => complete);
}

function mirrorLines({ name, complete, forwarder, runtimes, findings }: MirrorOnNode): string[] {
  const shown = findings.filter(
    ({ reason }) => !runtimes.some((runtime) => runtime.reason === reason && reason !== ''),
  );
  return [
    `${name}: ${complete ? 'in place' : 'not in place'}${forwarder === null ? '' : `; ${forwarderText(forwarder)}`}`,
    ...runtimes.map((runtime) => `  ${runtimeText(runtime)}`),
    ...shown.map((finding) => `  ${findingText(finding)}`),
  ];
}

function forwarderText({
  port,
  offered,
  reason,
  detail,
  connections,
  bytes,
  lastUsed,
}: ForwarderReport): string {
  const why = detail === '' ? reason : `${reason}, ${detail}`;
  const use =
    connections === 0
      ? 'not used yet'
      : `${connections} connections, ${sizeText(bytes)}, last ${lastUsed ?? 'unknown'}`;
  return `port ${port} ${offered ? 'offered' : `closed (${why})`}; ${use}`;
}

function runtimeText({
  runtime,
  found,
  version,
  wired,
  live,
  reason,
  message,
  used,
  restartNeeded,
}: RuntimeOnNode): string {
  const name = version === undefined ? runtime : `${runtime} ${version}`;
  const state = !wired ? 'not wired' : live ? 'wired and live' : 'wired, not live';
  const why = reason === '' ? '' : `: ${message || reason}`;
  const restart = restartNeeded === true ? ' (waits for its turn to be restarted)' : '';
  const use = used === undefined ? '' : used ? ', used' : ', not used yet';
  return `${name}${found ? '' : ' (not found)'}: ${state}${use}${why}${restart}`;
}

function findingText({ reason, path, message, blocks }: FindingReport): string {
  return `${blocks ? 'stops' : 'note'}: ${reason}${path === undefined ? '' : ` ${path}`}: ${message}`;
}
