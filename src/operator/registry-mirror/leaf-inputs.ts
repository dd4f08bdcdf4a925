/**
 * Which leaf a mirror serves and which of our own authorities its nodes trust. A renewed authority is trusted first; it
 * signs for a mirror when all agents of that mirror were started with it, or when they were waited for long enough.
 */
import type { Logger } from '../../observe/log.ts';
import { agentsBehindAnnotation, authoritySinceAnnotation, type Leaf } from '../../resources/secret.ts';
import { type Authority, authorityMark } from '../certificates/authority-secret.ts';
import {
  isSignedBy,
  leafFault,
  newLeaf,
  nextLeafCheck,
  readLeaf,
  spreadEnd,
  spreadMs,
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
  /** Our own authorities that nodes trust; PEM. */
  readonly trusted: readonly string[];
  readonly renewal?: Renewal;
  /** To be remembered while a renewed authority waits: since when nodes are given it. */
  readonly authoritySince?: string;
  /** When to look again, in milliseconds since the epoch. */
  readonly checkAt: number;
}

/** Keeps the live leaf, or issues one where that cannot stay. */
export async function leafInputs(question: LeafQuestion, names: readonly string[]): Promise<LeafInputs> {
  const { live, authority, now, logger, mirror } = question;
  const before = readLeaf(live.leafSecret);
  const agentsKnow = agentsTrust(live.daemonSet, authorityMark(authority));
  const renewedSigns = agentsKnow || mayNotWait(question, before);
  const wanted = { names, authority, renewedSigns, now };
  const fault = leafFault(before, wanted);
  const leaf = before === undefined || fault !== undefined ? await newLeaf(wanted, before) : before;
  if (fault !== undefined) logger.info({ mirror: mirror.metadata.name, why: fault }, 'Issued a certificate');
  const renewal = await renewalOf(question, { before, leaf, agentsKnow });
  const { former, until } = formerAuthorities(question, leaf);
  const waiting = renewal?.state === 'waiting' ? renewal.until.getTime() : undefined;
  return {
    leaf,
    trusted: [authority.certificatePem, ...former],
    ...(renewal && { renewal }),
    ...(waiting !== undefined && { authoritySince: sinceText(question) }),
    checkAt: Math.min(nextLeafCheck(leaf, authority), until, waiting ?? until),
  };
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
  return sinceOf(question) + spreadMs;
}

/** `<mark> <time>`: of another authority, it counts anew. */
function sinceText(question: LeafQuestion): string {
  return `${authorityMark(question.authority)} ${new Date(sinceOf(question)).toISOString()}`;
}

function sinceOf({ live, authority, now }: LeafQuestion): number {
  const text = live.configSecret?.metadata.annotations?.[authoritySinceAnnotation] ?? '';
  const [mark, time = ''] = text.split(' ');
  const since = Date.parse(time);
  return mark === authorityMark(authority) && since <= now.getTime() ? since : now.getTime();
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
