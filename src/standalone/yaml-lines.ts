/** YAML documents that know on which line each of their fields stands. Pure; used by `src/standalone` and `src/cli`. */
import {
  constructFromEvents,
  EVENT_ID,
  type Event,
  getScalarValue,
  parseEvents,
  YAMLException,
} from 'js-yaml';

/** Steps from a document's root to a field. */
export type Path = readonly (string | number)[];

/** One document of a YAML text. */
export interface YamlDocument {
  readonly value: unknown;
  /** The line (from 1) of the field at `path`; of the nearest field around it where there is none. */
  readonly lineOf: (path: Path) => number;
}

/** A text that is no YAML; `line` counts from 1. */
export class YamlError extends Error {
  readonly line: number;
  constructor(line: number, reason: string, options?: ErrorOptions) {
    super(reason, options);
    this.name = 'YamlError';
    this.line = line;
  }
}

/** What `kubectl get -o yaml` wraps objects in, taken apart; any other document stays as it is. */
function itemsOf(document: YamlDocument): YamlDocument[] {
  const { kind, items } = (document.value ?? {}) as { kind?: unknown; items?: unknown };
  if (typeof kind !== 'string' || !kind.endsWith('List') || !Array.isArray(items)) return [document];
  return items.map((value, at) => ({ value, lineOf: (path) => document.lineOf(['items', at, ...path]) }));
}

/** Where something stands, and what is inside it by key or index. */
interface Place {
  readonly offset: number;
  readonly inner: Map<string | number, Place>;
}

/** More documents' worth of aliases than people write; fewer than can be used to fill the memory. */
const maxAliases = 1000;

/** Parses all documents of `text`; empty ones are left out, a List is taken apart. Throws `YamlError`. */
export function parseYaml(text: string): YamlDocument[] {
  try {
    const events = parseEvents(text, {});
    const values = constructFromEvents(events, { source: text, maxAliases });
    const reader = new PlaceReader(text, events);
    return values
      .map((value) => documentOf(text, value, reader.document()))
      .filter(({ value }) => value != null)
      .flatMap(itemsOf);
  } catch (error) {
    if (error instanceof YAMLException) {
      throw new YamlError((error.mark?.line ?? 0) + 1, error.reason, { cause: error });
    }
    throw error;
  }
}

function documentOf(text: string, value: unknown, root: Place): YamlDocument {
  const lineOf = (path: Path) => {
    let place = root;
    for (const step of path) {
      const inner = place.inner.get(step);
      if (inner === undefined) break;
      place = inner;
    }
    return lineAt(text, place.offset);
  };
  return { value, lineOf };
}

function lineAt(text: string, offset: number): number {
  return (text.slice(0, offset).match(/\r\n|\n|\r/g)?.length ?? 0) + 1;
}

/** Walks the events of a text, one document a call. */
class PlaceReader {
  readonly #text: string;
  readonly #events: readonly Event[];
  #next = 0;
  /** Containers carry the offset of their first character only in flow style; otherwise what is inside tells. */
  #offset = 0;

  constructor(text: string, events: readonly Event[]) {
    this.#text = text;
    this.#events = events;
  }

  document(): Place {
    this.#take();
    const place = this.#peek()?.type === EVENT_ID.POP ? emptyPlace(this.#offset) : this.#node();
    this.#take();
    return place;
  }

  #node(): Place {
    const event = this.#take();
    if (event?.type === EVENT_ID.MAPPING) return this.#mapping(event.start);
    if (event?.type === EVENT_ID.SEQUENCE) return this.#sequence(event.start);
    if (event?.type === EVENT_ID.SCALAR && event.valueStart >= 0) this.#offset = event.valueStart;
    return emptyPlace(this.#offset);
  }

  #mapping(start: number): Place {
    const place = emptyPlace(this.#begin(start));
    while (this.#peek()?.type !== EVENT_ID.POP) {
      const key = this.#peek();
      const { offset } = this.#node();
      const { inner } = this.#node();
      // A field stands where its key stands.
      if (key?.type === EVENT_ID.SCALAR) place.inner.set(getScalarValue(this.#text, key), { offset, inner });
    }
    this.#take();
    return place;
  }

  #sequence(start: number): Place {
    const place = emptyPlace(this.#begin(start));
    for (let index = 0; this.#peek()?.type !== EVENT_ID.POP; index += 1) place.inner.set(index, this.#node());
    this.#take();
    return place;
  }

  #begin(start: number): number {
    if (start >= 0) this.#offset = start;
    return this.#offset;
  }

  #peek(): Event | undefined {
    return this.#events[this.#next];
  }

  #take(): Event | undefined {
    this.#next += 1;
    return this.#events[this.#next - 1];
  }
}

function emptyPlace(offset: number): Place {
  return { offset, inner: new Map() };
}
