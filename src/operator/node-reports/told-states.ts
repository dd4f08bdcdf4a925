/** What the nodes of mirrors came to when that was last told, so that each change is told once. */
import type { NodeOfMirror } from './known-agents.ts';
import { summaryOf } from './summary.ts';

export class ToldStates {
  /** By mirror. */
  readonly #told = new Map<string, string>();

  /** Of these mirrors, and of those that were told of before: the ones of which there is news. */
  news(mirrors: ReadonlySet<string>, nodesOf: (mirror: string) => readonly NodeOfMirror[]): string[] {
    return [...new Set([...this.#told.keys(), ...mirrors])].filter((mirror) => {
      const nodes = nodesOf(mirror);
      const state = JSON.stringify(summaryOf(nodes));
      if (this.#told.get(mirror) === state) return false;
      if (nodes.length === 0) this.#told.delete(mirror);
      else this.#told.set(mirror, state);
      return true;
    });
  }
}
