/** Answers for tags: how fresh they are kept (`tagPolicy`, docs/adr/0010), and until when nginx may tell them. */
import { type Answer, forever, keepFor, keepUntil } from './answer.ts';
import type { BrokerMirror } from './broker-config.ts';
import { manifestAnswer, notModified } from './manifest-answer.ts';
import type { Mirror } from './mirror.ts';
import { validUntilHeader } from './peers/told.ts';
import { isTrouble, type TagQuestion, type TagState } from './tag-state.ts';

/** While the upstream is being asked behind, nginx comes again after this. Seconds. */
const behindSeconds = 1;

/** Returns the answer; rejects with what owner and upstream failed with, upon which nginx serves the copy it has. */
export async function serveTag(mirror: Mirror, question: TagQuestion): Promise<Answer> {
  const { tagPolicy } = mirror.config;
  const { known, fromPeer } = question;
  if (known !== undefined && tagPolicy === 'immutable') return notModified(known, keepFor(forever));
  // Another replica asks behind its own clients' backs, and must hear what is so now.
  if (known !== undefined && tagPolicy === 'background' && !fromPeer) {
    return serveAtOnce(mirror, question, known);
  }
  return answerOf(mirror.config, question, await find(mirror, question));
}

/** What was found out last stands until the upstream has said otherwise, for which nobody waits. */
async function serveAtOnce(mirror: Mirror, question: TagQuestion, known: string): Promise<Answer> {
  const found = mirror.finder.found(question) ?? { digest: known, validUntil: 0 };
  const isOver = found.validUntil <= Date.now();
  if (isOver) findBehind(mirror, question);
  const told = mirror.finder.recall(question, found);
  // Found out, but too large to be remembered.
  if (told === undefined) return answerOf(mirror.config, question, await find(mirror, question));
  const { headers, ...answer } = answerOf(mirror.config, question, told);
  return { ...answer, headers: { ...headers, ...(isOver && keepFor(behindSeconds)) } };
}

function findBehind(mirror: Mirror, question: TagQuestion): void {
  const { signal } = new AbortController();
  find(mirror, { ...question, isHurried: false, signal }).catch((error: unknown) =>
    mirror.status.note(error, 'manifest'),
  );
}

/** Notes which copies nobody could ask about. */
async function find({ finder, status }: Mirror, question: TagQuestion): Promise<TagState> {
  const tag = `${question.name}:${question.reference}`;
  try {
    const state = await finder.find(question);
    if (state.isStale) status.staleTags.note(tag);
    else status.staleTags.clear(tag);
    return state;
  } catch (error) {
    if (question.known !== undefined && isTrouble(error)) status.staleTags.note(tag);
    throw error;
  }
}

function answerOf(config: BrokerMirror, question: TagQuestion, state: TagState): Answer {
  const keep = keepOf(config, state);
  if (state.digest === question.known) return notModified(state.digest, keep);
  if (state.head === undefined) throw new Error('expected all that is to be said of a manifest');
  return manifestAnswer(state.head, keep, state.manifest?.bytes);
}

/** Absolute, so that neither the way here nor another replica's nginx makes the life of an answer longer. */
function keepOf(
  { tagPolicy, tagTtlSeconds }: BrokerMirror,
  { validUntil }: TagState,
): Record<string, string> {
  if (tagPolicy === 'immutable') {
    return { ...keepFor(forever), [validUntilHeader]: String(Date.now() + forever * 1000) };
  }
  const keep = tagTtlSeconds === 0 ? keepFor(0) : keepUntil(validUntil);
  return { ...keep, [validUntilHeader]: String(validUntil) };
}
