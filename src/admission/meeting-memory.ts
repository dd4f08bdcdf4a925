/** Remembers which repositories became which names, to tell when two meet in one: what was two images is one after rewriting. */
import { meetingsOf } from '../image/rules/meetings.ts';
import type { Rewrite } from '../image/settle.ts';

/** What is new: images of `source` end in the same repository as images of another one. */
export interface NewMeeting {
  readonly name: string;
  readonly sources: readonly string[];
}

interface Known {
  readonly image: string;
  readonly result: string;
}

/** Of so many names the last ones are remembered. */
const mostNames = 4096;
/** So many images are remembered for a name: more that meet there are no news. */
const mostSources = 8;

export class MeetingMemory {
  readonly #seen = new WeakSet<object>();
  /** By result without tag and digest, one image for each of its sources. */
  readonly #names = new Map<string, Known[]>();

  /** Takes in a rewritten image; returns a meeting that was not known before. */
  add(rewrite: Pick<Rewrite, 'image' | 'result'>): NewMeeting | undefined {
    if (this.#seen.has(rewrite)) return undefined;
    this.#seen.add(rewrite);
    const { image, result } = rewrite;
    const name = withoutTag(result);
    const known = this.#names.get(name) ?? [];
    const source = withoutTag(image);
    if (known.length >= mostSources || known.some((each) => withoutTag(each.image) === source))
      return undefined;
    const before = meetingsOf(known)[0]?.sources.length ?? 0;
    const all = [...known, { image, result }];
    this.#remember(name, all);
    const meeting = meetingsOf(all)[0];
    return meeting === undefined || meeting.sources.length === before ? undefined : meeting;
  }

  #remember(name: string, known: Known[]): void {
    if (!this.#names.has(name) && this.#names.size >= mostNames) {
      const [oldest] = this.#names.keys();
      if (oldest !== undefined) this.#names.delete(oldest);
    }
    this.#names.set(name, known);
  }
}

/** Good enough as a key, and quick. */
function withoutTag(image: string): string {
  const at = image.indexOf('@');
  const named = at < 0 ? image : image.slice(0, at);
  const colon = named.indexOf(':', named.lastIndexOf('/') + 1);
  return colon < 0 ? named : named.slice(0, colon);
}
