/**
 * Bodies of an upstream that ignores Range, held where a part that was cut out of them ended. nginx asks for one slice after the other: of a client
 * that resumes a download in its middle each would else be read from the upstream's first byte on.
 */
import { authorizationKey } from './authorization-key.ts';
import type { BlobRequest } from './blob-source.ts';
import type { OpenBody } from './open-body.ts';

/** nginx asks for the next slice when its client has taken the one before: 8 MiB at 280 kB/s. Milliseconds. */
const defaultHeldMs = 30_000;
/** Each is a connection that nobody else can use. */
const maxHeld = 16;

interface Held {
  readonly key: string;
  readonly body: OpenBody;
  readonly timer: NodeJS.Timeout;
}

export class HeldBodies {
  /** In the order in which they came. */
  readonly #held = new Set<Held>();
  readonly #heldMs: number;

  /** Takes how long a body is held, in milliseconds. */
  constructor(heldMs = defaultHeldMs) {
    this.#heldMs = heldMs;
  }

  /** Takes a body over from the reader of `request`, and ends it when nobody wants it for too long. */
  hold(request: BlobRequest, body: OpenBody): void {
    body.setReader(undefined);
    const timer = setTimeout(() => this.#remove(held).close(), this.#heldMs).unref();
    const held = { key: keyOf(request), body, timer };
    this.#held.add(held);
    const [oldest] = this.#held;
    if (oldest !== undefined && this.#held.size > maxHeld) this.#remove(oldest).close();
  }

  /** The body of the same blob, asked for in the same name, in which byte `start` comes soonest; undefined: it is past in all. */
  take(request: BlobRequest, start: number): OpenBody | undefined {
    const key = keyOf(request);
    const [nearest] = [...this.#held]
      .filter((held) => held.key === key && held.body.position <= start)
      .sort((one, other) => other.body.position - one.body.position);
    if (nearest === undefined) return undefined;
    const body = this.#remove(nearest);
    body.setReader(request.signal);
    return body;
  }

  #remove(held: Held): OpenBody {
    this.#held.delete(held);
    clearTimeout(held.timer);
    return held.body;
  }
}

function keyOf({ repository, digest, authorization }: BlobRequest): string {
  return `${repository}@${digest.text} ${authorizationKey(authorization)}`;
}
