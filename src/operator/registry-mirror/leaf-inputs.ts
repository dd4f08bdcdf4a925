/**
 * Which leaf a mirror serves, which one its nodes show, and which of our own authorities nodes and replicas trust. A renewed
 * authority is trusted first; it signs for a mirror when its pods have had time to read it and all its agents were started
 * with it, or when they were waited for long enough.
 */
import type { Logger } from '../../observe/log.ts';
import { agentsBehindAnnotation, type Leaf } from '../../resources/secret.ts';
import { type Authority, authorityMark } from '../certificates/authority-secret.ts';
import { sinceOf, sinceText } from '../certificates/authority-since.ts';
import {
  isSignedBy,
  leafFault,
  newLeaf,
  nextLeafCheck,
  nodeIdentity,
  readLeaf,
  replicaIdentity,
  spreadEnd,
  spreadMs,
  type Wanted,
} from '../certificates/leaf.ts';
import { secretText } from '../certificates/secret-text.ts';
import { splitBundle } from '../certificates/trust-bundle.ts';
import { agentsTrust } from './agent-trust.ts';
import type { LiveObjects } from './live-objects.ts';

/** What the decision depends on. */
export interface LeafQuestion {
  readonly mirror: { readonly metadata: { readonly name: string } };
  readonly live: LiveObjects;
  readonly authority: Authority;
  readonly now: Date;
  readonly logger: Logger;
  /** Asks which nodes' agents do not trust the authority of this mark; called once per renewal, at most. */
  readonly nodesBehind: (mark: string) => Promise<string>;
}

/** How far a mirror is with a renewed authority; undefined: nothing to tell. */
export type Renewal =
  | { readonly state: 'waiting'; readonly until: Date }
  | { readonly state: 'behind'; readonly nodes: string };

export interface LeafInputs {
  readonly leaf: Leaf;
  /** What node agents show. */
  readonly client: Leaf;
  /** Our own authorities, which nodes trust, and replicas among each other; PEM. */
  readonly trusted: readonly string[];
  readonly renewal?: Renewal;
  /** To be remembered while a renewed authority waits: since when nodes are given it. */
  readonly authoritySince?: string;
  /** When to look again, in milliseconds since the epoch. */
  readonly checkAt: number;
}

/** A mounted Secret is followed within a minute and a half by the kubelet, within seconds by nginx and broker. */
export const podsFollowMs = 3 * 60_000;

/** Keeps the live leaves, or issues one where that cannot stay. */
export async function leafInputs(question: LeafQuestion, names: readonly string[]): Promise<LeafInputs> {
  const { live, authority, now, mirror } = question;
  const before = readLeaf(live.leafSecret);
  const agentsKnow = agentsTrust(live.daemonSet, authorityMark(authority));
  const renewedSigns = (agentsKnow && podsKnow(question)) || mayNotWait(question, before);
  const signing = { authority, renewedSigns, now };
  const { name } = mirror.metadata;
  const leaf = await keptLeaf(question, before, { ...signing, names, identity: replicaIdentity(name) });
  const { names: nodeNames, ...identity } = nodeIdentity(name);
  const client = await keptLeaf(question, readLeaf(live.clientSecret), {
    ...signing,
    names: nodeNames,
    identity,
  });
  const renewal = await renewalOf(question, { before, leaf, agentsKnow });
  const { former, until } = formerAuthorities(question, leaf);
  const waiting = renewal?.state === 'waiting' ? renewal.until.getTime() : undefined;
  return {
    leaf,
    client,
    trusted: [authority.certificatePem, ...former],
    ...(renewal && { renewal }),
    ...(waiting !== undefined && { authoritySince: sinceText(authorityMark(authority), givenAt(question)) }),
    checkAt: Math.min(
      nextLeafCheck(leaf, authority),
      nextLeafCheck(client, authority),
      until,
      waiting === undefined ? until : nextLook(question, waiting),
    ),
  };
}

async function keptLeaf(
  { logger, mirror }: LeafQuestion,
  before: Leaf | undefined,
  wanted: Wanted,
): Promise<Leaf> {
  const fault = leafFault(before, wanted);
  if (before !== undefined && fault === undefined) return before;
  const of = wanted.identity.commonName;
  logger.info({ mirror: mirror.metadata.name, of, why: fault }, 'Issued a certificate');
  return newLeaf(wanted, before);
}

/** Replicas ask each other as long as they do not all have the new leaf: those that do not must trust it before. */
function podsKnow(question: LeafQuestion): boolean {
  return givenAt(question) + podsFollowMs <= question.now.getTime();
}

/** When pods have followed, or else when the wait for agents ends; agents that get ready are an event. */
function nextLook(question: LeafQuestion, waitEnds: number): number {
  return podsKnow(question) ? waitEnds : Math.min(waitEnds, givenAt(question) + podsFollowMs);
}

/** It signed before (nothing goes back), no node was ever wired, or the wait is over. */
function mayNotWait(question: LeafQuestion, leaf: Leaf | undefined): boolean {
  const { live, authority, now } = question;
  if (leaf === undefined && live.daemonSet === undefined) return true;
  if (leaf !== undefined && isSignedBy(leaf, authority)) return true;
  return waitEnd(question) <= now.getTime();
}

/** Counted from when this mirror's nodes were given the authority: an operator may have been down since it was made. */
function waitEnd(question: LeafQuestion): number {
  return givenAt(question) + spreadMs;
}

function givenAt({ live, authority, now }: LeafQuestion): number {
  return sinceOf(live.configSecret, authorityMark(authority), now);
}

interface Change {
  readonly before: Leaf | undefined;
  readonly leaf: Leaf;
  readonly agentsKnow: boolean;
}

/** The nodes are named once, when the leaf changes, and remembered beside it until all agents are there. */
async function renewalOf(
  question: LeafQuestion,
  { before, leaf, agentsKnow }: Change,
): Promise<Renewal | undefined> {
  const { live, authority, nodesBehind } = question;
  if (!isSignedBy(leaf, authority)) return { state: 'waiting', until: new Date(waitEnd(question)) };
  if (agentsKnow) return undefined;
  const changes = before !== undefined && !isSignedBy(before, authority);
  const remembered = live.leafSecret?.metadata.annotations?.[agentsBehindAnnotation];
  const nodes = changes ? await nodesBehind(authorityMark(authority)) : remembered;
  return nodes === undefined ? undefined : { state: 'behind', nodes };
}

/**
 * The authorities before are trusted as long as one of them signed the leaf, and then until pods and nodes have followed;
 * a leaf that is renewed later brings none of them back. One that a person replaced is known from the leaf alone.
 */
function formerAuthorities(
  { authority, live, now }: LeafQuestion,
  leaf: Leaf,
): { readonly former: readonly string[]; readonly until: number } {
  const none = { former: [], until: Number.POSITIVE_INFINITY };
  const candidates = [...splitBundle(leaf.ca), ...authority.previous];
  if (!isSignedBy(leaf, authority)) return { ...none, former: candidates };
  const isOwn = (one: string) => one.trim() === authority.certificatePem.trim();
  const until = spreadEnd(leaf);
  if (until <= now.getTime()) return none;
  const trusted = secretText(live.configSecret, 'ca.crt') ?? '';
  const former = candidates.filter((one) => !isOwn(one) && trusted.includes(one.trim()));
  return former.length === 0 ? none : { former, until };
}
