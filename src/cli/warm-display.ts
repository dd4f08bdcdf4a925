/** Shows what happens while images are warmed: on a terminal one live line for each image and replica, elsewhere plain lines. */
import type { WarmEvent } from '../cache/warm/warm-event.ts';
import { plainText } from './plain-text.ts';
import { eventText, WarmProgress } from './warm-progress.ts';

export interface WarmDisplay {
  /** `place` is the replica; empty where there is but one cache. */
  show(place: string, event: WarmEvent): void;
  /** Something about a replica as a whole. */
  note(place: string, text: string): void;
  end(): void;
}

/** The part of a standard output that is used. */
export interface Screen {
  readonly isTTY?: boolean;
  readonly columns?: number;
  readonly rows?: number;
  write(text: string): unknown;
}

/** Often enough for the eye, or for a log that people follow. Milliseconds. */
const redrawMs = 200;
const plainMs = 10_000;

/** Chooses by what `screen` is; `now` returns milliseconds. */
export function createDisplay(screen: Screen, now: () => number = () => performance.now()): WarmDisplay {
  return screen.isTTY ? new LiveDisplay(screen, now) : new PlainDisplay(screen, now);
}

/** Rows that are under way, by replica and image. */
class Rows {
  readonly #rows = new Map<string, WarmProgress>();
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
  }

  take(place: string, event: WarmEvent): WarmProgress {
    const key = `${place} ${event.image}`;
    const row = this.#rows.get(key) ?? new WarmProgress(place, event.image, this.#now);
    row.take(event);
    if (event.event === 'done' || event.event === 'failed') this.#rows.delete(key);
    else this.#rows.set(key, row);
    return row;
  }

  all(): readonly WarmProgress[] {
    return [...this.#rows.values()];
  }
}

/** A line at the start and at the end of each image, and every ten seconds between. */
class PlainDisplay implements WarmDisplay {
  readonly #screen: Screen;
  readonly #rows: Rows;
  readonly #timer = setInterval(() => this.#tell(), plainMs);

  constructor(screen: Screen, now: () => number) {
    this.#screen = screen;
    this.#rows = new Rows(now);
  }

  show(place: string, event: WarmEvent): void {
    const { label } = this.#rows.take(place, event);
    const text = eventText(event);
    if (text !== undefined) this.#screen.write(plainText(`${label}: ${text}\n`));
  }

  note(place: string, text: string): void {
    this.#screen.write(plainText(`${place}: ${text}\n`));
  }

  end(): void {
    clearInterval(this.#timer);
  }

  #tell(): void {
    for (const row of this.#rows.all())
      this.#screen.write(plainText(`${row.label}: ${row.text().trimStart()}\n`));
  }
}

/** Live lines at the bottom, drawn anew in place; what is done scrolls away above them. */
class LiveDisplay implements WarmDisplay {
  readonly #screen: Screen;
  readonly #rows: Rows;
  readonly #timer = setInterval(() => this.#draw(), redrawMs);
  #drawn = 0;

  constructor(screen: Screen, now: () => number) {
    this.#screen = screen;
    this.#rows = new Rows(now);
  }

  show(place: string, event: WarmEvent): void {
    const { label } = this.#rows.take(place, event);
    // Where a row is live it says what `resolved` would.
    const text = event.event === 'resolved' ? undefined : eventText(event);
    if (text !== undefined) this.#draw(`${label}: ${text}\n`);
  }

  note(place: string, text: string): void {
    this.#draw(`${place}: ${text}\n`);
  }

  end(): void {
    clearInterval(this.#timer);
    this.#draw();
  }

  /** One write, so that the terminal never shows half of it. */
  #draw(lasting = ''): void {
    const { columns = 80, rows = 24 } = this.#screen;
    // What has scrolled off the screen cannot be drawn over.
    const live = this.#rows.all().slice(0, Math.max(1, rows - 2));
    const width = Math.max(0, ...live.map(({ label }) => label.length));
    const lines = live.map((row) =>
      plainText(`${row.label.padEnd(width)}  ${row.text()}`).slice(0, columns - 1),
    );
    const erase = this.#drawn === 0 ? '' : `\u001b[${this.#drawn}A\u001b[J`;
    this.#drawn = lines.length;
    this.#screen.write(erase + plainText(lasting) + lines.map((line) => `${line}\n`).join(''));
  }
}
