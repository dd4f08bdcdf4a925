/** What the reports of a mirror's nodes come to. Pure; coarse and in a stable order, so that idle means no change. */
import { basename } from 'node:path';
import { type FindingReport, type MirrorOnNode, reachesMirror } from '../../api/node-report.ts';
import { latestMinute } from '../polling/words.ts';
import type { NodeOfMirror } from './known-agents.ts';

/** Why nodes are not wired; `nodes` by name. */
export interface Cause {
  /** A few words for people. */
  readonly text: string;
  readonly nodes: readonly string[];
}

export interface NodesSummary {
  /** Nodes that have told. */
  readonly heard: number;
  readonly wired: number;
  readonly unreachable: readonly string[];
  /** Most frequent first. A node may have several. */
  readonly causes: readonly Cause[];
  /** Wired nodes on which no pull reaches the mirror. */
  readonly notLive: readonly string[];
  /** When a forwarder was last used, to the minute. */
  readonly lastUsed?: string;
}

type Heard = NodeOfMirror & { readonly report: MirrorOnNode };

/** Sums up what `nodes`, by name, say. */
export function summaryOf(nodes: readonly NodeOfMirror[]): NodesSummary {
  const heard = nodes.filter((one): one is Heard => one.report !== undefined);
  const wired = heard.filter(({ report }) => report.complete);
  const lastUsed = latestMinute(heard.map(({ report }) => report.forwarder?.lastUsed));
  return {
    heard: heard.length,
    wired: wired.length,
    unreachable: nodes.filter(({ state }) => state === 'unreachable').map(({ node }) => node),
    causes: causesOf(heard.filter(({ report }) => !report.complete)),
    notLive: wired.filter(({ report }) => !reachesMirror(report)).map(({ node }) => node),
    ...(lastUsed !== undefined && { lastUsed }),
  };
}

function causesOf(nodes: readonly Heard[]): readonly Cause[] {
  const byText = new Map<string, string[]>();
  for (const { node, report } of nodes) {
    for (const text of new Set(textsOf(report))) byText.set(text, [...(byText.get(text) ?? []), node]);
  }
  return [...byText]
    .map(([text, names]) => ({ text, nodes: names }))
    .sort((one, other) => other.nodes.length - one.nodes.length || (one.text < other.text ? -1 : 1));
}

/** What blocks, else which runtime is not wired and why. */
function textsOf({ findings, runtimes, forwarder }: MirrorOnNode): readonly string[] {
  const blocking = findings.filter(({ blocks }) => blocks).map(findingText);
  if (blocking.length > 0) return blocking;
  const unwired = runtimes.filter(({ found, wired, reason }) => found && !wired && reason !== '');
  if (unwired.length > 0)
    return unwired.map(({ runtime, reason }) => `${runtime}: ${knownText(reason) ?? words(reason)}`);
  if (forwarder !== null && !forwarder.offered) return [`forwarder: ${words(forwarder.reason)}`];
  return ['pass not complete'];
}

function findingText({ reason, path }: FindingReport): string {
  const file = path === undefined ? undefined : /^[\w.-]{1,64}$/.exec(basename(path))?.[0];
  if (reason === 'ForeignFile') return `foreign ${file ?? 'file'}`;
  return knownText(reason) ?? words(reason);
}

const texts: Readonly<Record<string, string>> = {
  ConfigPathUnset: 'config_path unset',
  UnusableConfigPath: 'config_path unusable',
  ColonTrap: 'config_path with a colon',
  MirrorsBesideConfigPath: 'mirrors in the configuration of containerd',
  FileOfOtherMirror: 'file of another mirror',
  NoCertificateAuthority: 'no CA bundle',
  NotTrusted: 'CA not in place',
  NoForwarder: 'no forwarder',
  PortTaken: 'port taken',
};

function knownText(reason: string): string | undefined {
  return Object.hasOwn(texts, reason) ? texts[reason] : undefined;
}

/** `UnusablePath` becomes `unusable path`. */
function words(reason: string): string {
  return reason.replace(/(?<=[a-z0-9])(?=[A-Z])/g, ' ').toLowerCase();
}
