/** What the server was asked about objects that are not watched, remembered for a while. */
import { ApiError } from '../../kube/errors.ts';

/** What is there is hardly ever deleted; what is missing is awaited. */
const rememberMs = { yes: 600_000, no: 15_000 } as const;

/** Asks whether what a key names is there; rejects as the client does. */
export type Question = (key: string, signal: AbortSignal) => Promise<boolean>;

export class Remembered {
  readonly #ask: Question;
  readonly #known = new Map<string, { answer: boolean; until: number }>();

  constructor(ask: Question) {
    this.#ask = ask;
  }

  /** False only when the server says so: an installation whose RBAC forbids the question loses nothing. */
  async holds(key: string, signal: AbortSignal): Promise<boolean> {
    const known = this.#known.get(key);
    if (known !== undefined && known.until > performance.now()) return known.answer;
    const answer = await this.#answer(key, signal);
    const ms = answer ? rememberMs.yes : rememberMs.no;
    this.#known.set(key, { answer, until: performance.now() + ms });
    return answer;
  }

  async #answer(key: string, signal: AbortSignal): Promise<boolean> {
    try {
      return await this.#ask(key, signal);
    } catch (error) {
      if (error instanceof ApiError && error.forbidden) return true;
      throw error;
    }
  }
}
