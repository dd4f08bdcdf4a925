/** Finds out what a tag is: from what was found out a moment ago, from the replica that owns it, from the upstream. */
import { BoundedMap } from '../../registry/bounded-map.ts';
import type { Manifest, StatedManifest } from '../../registry/manifest.ts';
import { UpstreamError, UpstreamStatusError } from '../../registry/upstream-error.ts';
import type { BrokerMirror } from './broker-config.ts';
import { isLastWord, type MirrorPeers } from './peers/mirror-peers.ts';
import { askOwner } from './peers/owned-tag.ts';
import { SharedWork } from './shared-work.ts';
import {
  type Dated,
  failureMs,
  fetchMs,
  keyOf,
  type ReferenceRequest,
  type TagReader,
} from './tag-reader.ts';
import { isTrouble, stateOf, type TagQuestion, type TagState } from './tag-state.ts';

/** The owner has a second for its upstream, and half a one to tell. Milliseconds. */
const ownerMs = 1_500;
/** Then there is a second left for asking the upstream oneself. Milliseconds. */
const hurriedMs = 2_500;
/** What was said to others before is told for so long, then the upstream is asked again. Milliseconds. */
const soonMs = 1_000;

export interface TagFinderOptions {
  readonly config: BrokerMirror;
  readonly tags: TagReader;
  readonly peers: MirrorPeers;
}

export class TagFinder {
  readonly #options: TagFinderOptions;
  /** What was found: nginx keeps HEAD and GET apart, other replicas ask, and some did not wait for it. */
  readonly #found = new BoundedMap<string, TagState>(4096);
  readonly #patient = new SharedWork<TagState>({ limitMs: fetchMs, failureMs });
  readonly #hurried = new SharedWork<TagState>({ limitMs: hurriedMs, failureMs });

  constructor(options: TagFinderOptions) {
    this.#options = options;
  }

  /**
   * Rejects with what owner and upstream failed with; in a hurry nobody waits longer than `hurriedMs`, and after a failure
   * not at all for a moment.
   */
  async find(question: TagQuestion): Promise<TagState> {
    const { known, signal, wantsBody, fromPeer } = question;
    const recent = this.#recent(question);
    const recalled = recent && this.recall(question, recent);
    if (recalled !== undefined) return recalled;
    const key = JSON.stringify([keyOf(question), known, wantsBody, fromPeer]);
    const work = question.isHurried ? this.#hurried : this.#patient;
    return work.run(key, signal, async (limit) => {
      const state = await this.#ask({ ...question, signal: limit }, recent);
      this.#remember(question, state);
      return state;
    });
  }

  /** What was found last, however long ago; never the manifest itself. No copy that nginx has is newer. */
  found(request: Omit<ReferenceRequest, 'signal'>): TagState | undefined {
    return this.#found.get(keyOf(request));
  }

  /** `found` as the answer to a question; undefined when it takes a manifest that is not remembered. */
  recall(question: TagQuestion, found: TagState): TagState | undefined {
    if (found.digest === question.known) return found;
    if (found.head === undefined || !question.wantsBody) return found.head && found;
    const manifest = this.#options.tags.remembered(question, found.digest);
    return manifest && { ...found, manifest };
  }

  #recent(question: TagQuestion): TagState | undefined {
    const found = this.found(question);
    return found !== undefined && found.validUntil > Date.now() ? found : undefined;
  }

  /** In a hurry nobody waits for an upstream that always takes longer; what it said to those before is newer than what nginx has. */
  async #askHere(question: TagQuestion, recent: TagState | undefined): Promise<TagState> {
    try {
      return await this.#askUpstream(question, recent);
    } catch (error) {
      const last = question.isHurried && isTrouble(error) ? this.found(question) : undefined;
      if (last === undefined || last.digest === question.known) throw error;
      const validUntil = Date.now() + soonMs;
      const told =
        this.recall(question, last) ?? stateOf(await this.#fetch(question, last.digest), validUntil);
      return { ...told, validUntil, isStale: true };
    }
  }

  /** What a HEAD of the upstream tells. Where clients wait for it, whoever asks from now on knows it; behind their backs, when all of it is there. */
  async #check(question: TagQuestion): Promise<TagState | undefined> {
    const { tags } = this.#options;
    const hear = ({ value, askedAt }: Dated<StatedManifest | undefined>): TagState | undefined => {
      if (value === undefined) return undefined;
      const state = { ...value, validUntil: this.#endOf(askedAt) };
      if (question.isHurried) this.#remember(question, state);
      return state;
    };
    return hear(await (question.isHurried ? tags.check(question, hear) : tags.head(question)));
  }

  async #ask(question: TagQuestion, recent: TagState | undefined): Promise<TagState> {
    const { name, reference, fromPeer, signal } = question;
    const owner = fromPeer ? undefined : this.#options.peers.ownerOfManifest(name, reference);
    if (owner === undefined) return this.#askHere(question, recent);
    try {
      return await askOwner(owner, { ...question, signal: ownerLimit(question) });
    } catch (error) {
      if (isLastWord(error) || signal.aborted) throw error;
      return this.#askHere(question, recent);
    }
  }

  /** One HEAD decides about a copy that nginx has; a HEAD of the client is answered by one as well. */
  async #askUpstream(question: TagQuestion, recent: TagState | undefined): Promise<TagState> {
    const { tags } = this.#options;
    const { known, wantsBody } = question;
    const found = recent ?? (known !== undefined || !wantsBody ? await this.#check(question) : undefined);
    if (found === undefined) {
      const { value: manifest, askedAt } = await tags.fetch(question);
      return stateOf(manifest, this.#endOf(askedAt));
    }
    if (found.digest === known || (!wantsBody && found.head !== undefined)) return found;
    const manifest = tags.remembered(question, found.digest) ?? (await this.#fetch(question, found.digest));
    return stateOf(manifest, found.validUntil);
  }

  /** What a HEAD was told (`digest`) is what GET gets, once for all who ask, unless it cannot be had by that. */
  async #fetch(question: TagQuestion, digest: string): Promise<Manifest> {
    const { tags } = this.#options;
    try {
      return (await tags.fetch({ ...question, reference: digest })).value;
    } catch (error) {
      if (!isOfDigest(error)) throw error;
      return (await tags.fetch(question)).value;
    }
  }

  #endOf(askedAt: number): number {
    return askedAt + this.#options.config.tagTtlSeconds * 1000;
  }

  #remember(question: TagQuestion, { manifest, ...state }: TagState): void {
    if (state.isStale) return;
    const before = this.#found.get(keyOf(question));
    const head = state.head ?? (before?.digest === state.digest ? before.head : undefined);
    this.#found.set(keyOf(question), { ...state, head });
    if (manifest !== undefined) this.#options.tags.remember(question, manifest);
  }
}

/** Whether a tag may be had that its digest is not: it is gone, not asked for so, or not what the HEAD has told. */
function isOfDigest(error: unknown): boolean {
  if (error instanceof UpstreamStatusError) return !isTrouble(error) && error.status !== 401;
  return error instanceof UpstreamError && error.code === 'digest';
}

function ownerLimit({ isHurried, signal }: TagQuestion): AbortSignal {
  return !isHurried ? signal : AbortSignal.any([signal, AbortSignal.timeout(ownerMs)]);
}
