/** What the nodes of mirrors came to when that was last told, so that each change is told once. */
import type { NodeOfMirror } from './known-agents.ts';
import { summaryOf } from './summary.ts';

/** The nodes of a mirror, and the version of the list by which their words count. */
export interface NodesNow {
  readonly nodes: readonly NodeOfMirror[];
  readonly since: number | undefined;
}

export class ToldStates {
  /** By mirror. */
  readonly #told = new Map<string, string>();

  /** Of these mirrors, and of those that were told of before: the ones of which there is news. That all nodes follow a new list is. */
  news(mirrors: ReadonlySet<string>, stateOf: (mirror: string) => NodesNow): string[] {
    return [...new Set([...this.#told.keys(), ...mirrors])].filter((mirror) => {
      const { nodes, since } = stateOf(mirror);
      const state = JSON.stringify([summaryOf(nodes), since]);
      if (this.#told.get(mirror) === state) return false;
      if (nodes.length === 0) this.#told.delete(mirror);
      else this.#told.set(mirror, state);
      return true;
    });
  }
}
