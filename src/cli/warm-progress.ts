/** What is known of one image in one replica, and how it reads. Pure but for the clock it is given. */
import type { WarmEvent } from '../cache/warm/warm-event.ts';
import { durationText, sizeText } from './size-text.ts';

/** The rate is that of the last seconds: an average says nothing of a download that got stuck. Milliseconds. */
const rateWindowMs = 5_000;

/** One row of the display. */
export class WarmProgress {
  readonly label: string;
  readonly #now: () => number;
  #bytes = 0;
  #total: number | undefined;
  #samples: { at: number; bytes: number }[] = [];

  /** `place` is the replica; empty where there is but one cache. `now` returns milliseconds. */
  constructor(place: string, image: string, now: () => number) {
    this.label = place === '' ? image : `${place} ${image}`;
    this.#now = now;
  }

  take(event: WarmEvent): void {
    if (event.event === 'resolved') this.#total = event.bytes;
    if (event.event !== 'progress' && event.event !== 'resolved') return;
    const at = this.#now();
    // After a connection was lost it begins anew, at first with what is cached.
    const bytes = event.event === 'progress' ? event.bytes : 0;
    if (bytes < this.#bytes) this.#samples = [];
    this.#bytes = bytes;
    this.#samples = [...this.#samples.filter((sample) => sample.at > at - rateWindowMs), { at, bytes }];
  }

  /** `64% 81 MiB of 126 MiB, 23 MiB/s`. */
  text(): string {
    if (this.#total === undefined) return 'manifests';
    // Not 100 before it is all there.
    const percent = this.#total === 0 ? 100 : Math.floor((100 * this.#bytes) / this.#total);
    const rate = this.#rate();
    const speed = rate === undefined ? '' : `, ${sizeText(rate)}/s`;
    return `${String(percent).padStart(3)}% ${sizeText(this.#bytes)} of ${sizeText(this.#total)}${speed}`;
  }

  /** Bytes a second. */
  #rate(): number | undefined {
    const [first] = this.#samples;
    const last = this.#samples.at(-1);
    if (first === undefined || last === undefined) return undefined;
    const ms = this.#now() - first.at;
    return ms < 500 ? undefined : ((last.bytes - first.bytes) / ms) * 1000;
  }
}

/** What is written once for an event; undefined for those that only move a bar. */
export function eventText(event: WarmEvent): string | undefined {
  switch (event.event) {
    case 'resolved': {
      const platforms = event.platforms.length === 0 ? '' : ` for ${event.platforms.join(', ')}`;
      return `${event.digest}${platforms}, ${event.blobs} blobs, ${sizeText(event.bytes)}`;
    }
    case 'skipped':
      return `skipped ${event.digest}: ${event.mediaType} is not distributed by registries`;
    case 'retried':
      return `trying again: ${event.message}`;
    case 'done':
      return doneText(event);
    case 'failed':
      return `failed: ${event.message}`;
    case 'progress':
      return undefined;
  }
}

function doneText({ bytes, seconds }: Extract<WarmEvent, { event: 'done' }>): string {
  const rate = seconds > 0 ? `, ${sizeText(bytes / seconds)}/s` : '';
  return `cached ${sizeText(bytes)} in ${durationText(seconds)}${rate}`;
}
