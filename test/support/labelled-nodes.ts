/** Stands in for the DaemonSet controller and the agents on a few labelled nodes: who runs where, and what it leaves behind. */
import type { ExecutionContext } from 'ava';
import { type FakeNode, selects } from './node-selector.ts';
import type { Live, World } from './operator-world.ts';

const setsPath = '/apis/apps/v1/namespaces/default/daemonsets';

type Mode = 'wire' | 'restore';

export class LabelledNodes {
  /** Agents on these neither do anything, nor become ready, nor end. */
  readonly dead = new Set<string>();
  /** Agents that restore get nothing done on these. */
  readonly stuck = new Set<string>();
  /** `mirror/node` where one agent wired while another one restored. */
  readonly fights = new Set<string>();
  readonly #nodes: readonly FakeNode[];
  readonly #world: World;
  /** What the agent on a node does, by the DaemonSet's uid: one that has to go never sees the new template. */
  readonly #agents = new Map<string, Map<string, Mode>>();
  /** What was done last, by `mirror/node`. */
  readonly #done = new Map<string, Mode>();

  constructor(world: World, nodes: Readonly<Record<string, Record<string, string>>>) {
    this.#world = world;
    this.#nodes = Object.entries(nodes).map(([name, labels]) => ({
      name,
      labels: { 'kubernetes.io/os': 'linux', ...labels },
    }));
  }

  /** Names of the nodes that are wired to the mirror. */
  wired(mirror: string): string[] {
    return this.#doneTo(mirror, 'wire');
  }

  /** Names of the nodes that were taken back from the mirror. */
  restored(mirror: string): string[] {
    return this.#doneTo(mirror, 'restore');
  }

  /** One moment: agents that have to go are still there in the moment in which they are told. */
  async tick(): Promise<void> {
    const { items } = await this.#world.get(setsPath);
    const uids = items.map(({ metadata }: Live) => metadata.uid);
    for (const uid of this.#agents.keys()) if (!uids.includes(uid)) this.#agents.delete(uid);
    for (const set of items) this.#place(set);
    this.#act(items);
    for (const set of items) await this.#report(set);
  }

  #place(set: Live): void {
    const agents = this.#agents.get(set.metadata.uid) ?? new Map<string, Mode>();
    this.#agents.set(set.metadata.uid, agents);
    const told = set.status.observedGeneration === set.metadata.generation;
    for (const node of this.#nodes) {
      if (selects(set.spec.template.spec, node)) agents.set(node.name, modeOf(set));
      else if (told && !this.dead.has(node.name)) agents.delete(node.name);
    }
  }

  #act(sets: readonly Live[]): void {
    const modes = new Map<string, Set<Mode>>();
    for (const set of sets) {
      for (const [node, mode] of this.#agents.get(set.metadata.uid) ?? []) {
        if (!this.#works(node, mode)) continue;
        const place = `${set.metadata.labels.mirror}/${node}`;
        this.#done.set(place, mode);
        modes.set(place, (modes.get(place) ?? new Set<Mode>()).add(mode));
      }
    }
    for (const [place, both] of modes) if (both.size > 1) this.fights.add(place);
  }

  async #report(set: Live): Promise<void> {
    const agents = [...(this.#agents.get(set.metadata.uid)?.keys() ?? [])];
    const selected = this.#nodes.filter((node) => selects(set.spec.template.spec, node));
    const status = {
      observedGeneration: set.metadata.generation,
      desiredNumberScheduled: selected.length,
      currentNumberScheduled: selected.length,
      updatedNumberScheduled: selected.length,
      numberMisscheduled: agents.filter((name) => !selected.some((node) => node.name === name)).length,
      numberReady: selected.filter(({ name }) => this.#works(name, modeOf(set))).length,
    };
    const isSaid = Object.entries(status).every(([key, value]) => (set.status[key] ?? 0) === value);
    if (!isSaid) await this.#world.patch(`${setsPath}/${set.metadata.name}/status`, { status });
  }

  #works(node: string, mode: Mode): boolean {
    return !this.dead.has(node) && !(mode === 'restore' && this.stuck.has(node));
  }

  #doneTo(mirror: string, mode: Mode): string[] {
    const places = [...this.#done].filter(([place, done]) => place.startsWith(`${mirror}/`) && done === mode);
    return places.map(([place]) => place.slice(mirror.length + 1)).sort();
  }
}

/** Nodes that live as long as the test. */
export function labelledNodes(
  t: ExecutionContext,
  world: World,
  nodes: Readonly<Record<string, Record<string, string>>>,
): LabelledNodes {
  const all = new LabelledNodes(world, nodes);
  let stopped = false;
  t.teardown(() => {
    stopped = true;
  });
  void (async () => {
    while (!stopped) {
      await all.tick().catch(() => undefined);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  })();
  return all;
}

function modeOf(set: Live): Mode {
  const { env } = set.spec.template.spec.containers[0];
  return env.find(({ name }: Live) => name === 'NODE_AGENT_MODE').value;
}
