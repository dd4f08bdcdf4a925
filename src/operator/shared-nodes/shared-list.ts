/** Which mirrors the shared agents wire: what was worked out of each since this operator leads, else what they were told before. */
import type { NodeMirror } from '../../api/node-mirror.ts';
import type { KubeObject } from '../../kube/object.ts';
import { type ListedMirror, listKey, type SharedList } from '../../resources/shared-nodes.ts';
import { secretText } from '../certificates/secret-text.ts';

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

  /**
   * The list for the mirrors that exist. One that nobody has looked at yet stays as it stands in `secret`; a mirror that is gone is in neither
   * part, and so is taken back.
   */
  listFor(existing: readonly string[], secret: KubeObject | undefined): SharedList {
    for (const name of this.#standings.keys()) if (!existing.includes(name)) this.#standings.delete(name);
    const before = new Map(listedIn(secret).map((each) => [each.mirror.name, each]));
    const standings = existing
      .toSorted()
      .map((name) => [name, this.#standings.get(name) ?? before.get(name) ?? 'elsewhere'] as const);
    return {
      listed: standings.flatMap(([, standing]) => (typeof standing === 'string' ? [] : [standing])),
      others: standings.flatMap(([name, standing]) => (standing === 'elsewhere' ? [name] : [])),
    };
  }
}

/** What the agents were told last; nothing where that cannot be read. */
export function listedIn(secret: KubeObject | undefined): ListedMirror[] {
  const text = secretText(secret, listKey);
  if (text === undefined) return [];
  try {
    const { mirrors } = JSON.parse(text) as { mirrors: readonly NodeMirror[] };
    return mirrors.flatMap((mirror) => {
      const authorities = secretText(secret, `${mirror.name}.crt`);
      return authorities === undefined ? [] : [{ mirror, authorities }];
    });
  } catch {
    return [];
  }
}
