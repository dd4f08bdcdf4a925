/**
 * Authorities that somebody else exchanges, with the certificate, at one moment: the one before stays announced for a while, because who serves serves
 * what it signed until a kubelet has brought the new pair.
 */
import { trustBundle } from './trust-bundle.ts';

/** A kubelet brings a changed Secret within two minutes, where it has time. */
const keptMs = 600_000;

export class FormerAuthorities {
  #given: string | undefined;
  /** PEM; announced until then (milliseconds since the epoch). */
  #former = '';
  #until = 0;

  /**
   * Takes the authorities that are given now, and those that the API server has been told, which count after a start: nobody knows since when they are
   * others. Returns all to announce, and for how many milliseconds these are more than the given ones. PEM.
   */
  with(
    given: string,
    announced: readonly string[],
    now: Date,
  ): { readonly authorities: string; readonly leftMs?: number } {
    // Later than that only by a clock that was set back.
    this.#until = Math.min(this.#until, now.getTime() + keptMs);
    if (now.getTime() >= this.#until) this.#former = '';
    if (given !== this.#given) {
      this.#former = trustBundle(this.#given === undefined ? announced : [this.#given, this.#former], now);
      this.#until = now.getTime() + keptMs;
      this.#given = given;
    }
    const authorities = trustBundle([given, this.#former], now);
    return authorities === given ? { authorities } : { authorities, leftMs: this.#until - now.getTime() };
  }
}
