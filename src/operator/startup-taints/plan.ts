/** From which nodes a startup taint is taken now. Pure. */
import type { KubeObject } from '../../kube/object.ts';
import type { NodeOfMirror } from '../node-reports/known-agents.ts';
import type { NodeAgent } from '../node-reports/node-agents.ts';

export interface Taint {
  readonly key: string;
  readonly effect: string;
  readonly value?: string;
  readonly timeAdded?: string;
}

/** A Node as far as it is read here. */
export interface TaintedNode extends KubeObject {
  readonly spec?: { readonly taints?: readonly Taint[] };
}

/** A mirror that names a startup taint. */
export interface TaintingMirror {
  readonly name: string;
  readonly key: string;
  readonly nodes: readonly NodeOfMirror[];
}

export interface TaintFacts {
  readonly mirrors: readonly TaintingMirror[];
  readonly agents: readonly NodeAgent[];
  readonly nodes: readonly TaintedNode[];
  readonly now: number;
}

/** A JSON patch of one Node. */
export interface Removal {
  readonly node: string;
  readonly keys: readonly string[];
  readonly patch: readonly object[];
}

/** A node that is not wired by then takes pods all the same. Counted from when its agent's pod was made; milliseconds. */
export const lateMs = 120_000;

/** The patches that are due. A node without an agent of any mirror that names its taint is left alone. */
export function planRemovals(facts: TaintFacts): readonly Removal[] {
  const keys = [...new Set(facts.mirrors.map(({ key }) => key))].sort();
  return facts.nodes.flatMap((node) => {
    const due = keys.filter((key) => hasTaint(node, key) && isDue(node.metadata.name, key, facts));
    return due.length === 0 ? [] : [{ node: node.metadata.name, keys: due, patch: patchOf(node, due) }];
  });
}

/** True where the node has a taint of this key, whatever its value and effect. */
export function hasTaint({ spec }: TaintedNode, key: string): boolean {
  return spec?.taints?.some((taint) => taint.key === key) ?? false;
}

/** Every agent there that concerns it is done, or had its time. */
function isDue(node: string, key: string, { mirrors, agents, now }: TaintFacts): boolean {
  const naming = mirrors.filter((mirror) => mirror.key === key);
  const names = new Set(naming.map(({ name }) => name));
  const there = agents.filter((agent) => {
    return agent.node === node && (agent.mirror === undefined || names.has(agent.mirror));
  });
  return there.length > 0 && there.every((agent) => now - agent.createdAt >= lateMs || isDone(agent, naming));
}

/** What an agent of all mirrors does not tell of is not on its node. */
function isDone({ pod }: NodeAgent, naming: readonly TaintingMirror[]): boolean {
  const told = naming.flatMap(({ nodes }) => nodes.filter(({ agent }) => agent.pod === pod));
  return told.length > 0 && told.every(({ report }) => report?.complete ?? false);
}

/** Each taint is removed only where it still is what was seen; from the last on, so that places hold. */
function patchOf({ spec }: TaintedNode, keys: readonly string[]): readonly object[] {
  const found = (spec?.taints ?? []).map((taint, index) => ({ taint, path: `/spec/taints/${index}` }));
  return found
    .filter(({ taint }) => keys.includes(taint.key))
    .reverse()
    .flatMap(({ taint, path }) => [
      { op: 'test', path, value: taint },
      { op: 'remove', path },
    ]);
}
