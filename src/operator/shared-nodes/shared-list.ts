/** Which mirrors the shared agents wire: what was worked out of each since this operator leads, else what they were told before. */
import type { KubeObject } from '../../kube/object.ts';
import type { ListedMirror } from '../../resources/shared-nodes.ts';
import { type VersionedList, versioned } from './list-version.ts';
import { listedIn } from './told-list.ts';

/** `taken back`: its nodes are to be restored. `elsewhere`: other agents wire it. */
type Standing = ListedMirror | 'taken back' | 'elsewhere';

export class SharedMirrors {
  readonly #standings = new Map<string, Standing>();

  /** Returns true where that is news. */
  set(name: string, standing: Standing): boolean {
    const isNews = JSON.stringify(this.#standings.get(name)) !== JSON.stringify(standing);
    this.#standings.set(name, standing);
    return isNews;
  }

  /** What was worked out of the mirror last; undefined: nobody has looked at it since this operator leads. */
  get(name: string): Standing | undefined {
    return this.#standings.get(name);
  }

  /**
   * The list for the mirrors that exist, those that are being deleted (`leaving`) included. One that nobody has looked at yet stays as it stands in
   * `secret`; what is wired by other agents is theirs to take back. `now` is in milliseconds since the epoch.
   */
  listFor(
    existing: readonly string[],
    leaving: readonly string[],
    secret: KubeObject | undefined,
    now: number,
  ): VersionedList {
    const all = [...existing, ...leaving].toSorted();
    for (const name of this.#standings.keys()) if (!all.includes(name)) this.#standings.delete(name);
    const before = new Map(listedIn(secret).map((each) => [each.mirror.name, each]));
    const standingOf = (name: string): Standing => {
      const known = this.#standings.get(name);
      if (leaving.includes(name)) return known === 'elsewhere' ? known : 'taken back';
      return known ?? before.get(name) ?? 'elsewhere';
    };
    const standings = all.map((name) => [name, standingOf(name)] as const);
    const having = (wanted: Standing) => standings.flatMap(([name, each]) => (each === wanted ? [name] : []));
    const list = {
      listed: standings.flatMap(([, standing]) => (typeof standing === 'string' ? [] : [standing])),
      others: having('elsewhere'),
      gone: having('taken back'),
    };
    return versioned(list, secret, now);
  }
}
