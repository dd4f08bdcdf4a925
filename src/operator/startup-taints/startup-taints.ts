/**
 * Takes the taint of `spec.nodes.startupTaint` from nodes that are wired, so that no pod is started before, or that have had their time.
 * The main file of this folder; works on what node agents last said.
 */
import { fieldManager } from '../../api/names.ts';
import type { KubeClient } from '../../kube/client.ts';
import { ApiError } from '../../kube/errors.ts';
import { pagesOf } from '../../kube/pages.ts';
import type { Logger } from '../../observe/log.ts';
import type { LiveView } from '../live-view.ts';
import type { NodeAgent } from '../node-reports/node-agents.ts';
import type { NodeReports } from '../node-reports/node-reports.ts';
import { eachOf } from '../polling/rounds.ts';
import type { Obstacle } from '../registry-mirror/finding.ts';
import type { StoredMirror } from '../registry-mirror/status.ts';
import { nodes } from '../resource-types.ts';
import { hasTaint, planRemovals, type Removal, type TaintedNode, type TaintingMirror } from './plan.ts';

export interface StartupTaintsOptions {
  readonly client: Pick<KubeClient, 'list' | 'patch'>;
  readonly mirrors: Pick<LiveView, 'list' | 'get'>;
  readonly reports: Pick<NodeReports, 'of' | 'agents'>;
  /** What keeps this mirror's taint on nodes has changed. */
  readonly changed: (mirror: string) => void;
  readonly logger: Logger;
  readonly now?: () => Date;
}

const parallel = 10;
/** Nodes are listed when there is a new agent, and else so often: a taint may come back. Milliseconds. */
const relistMs = 300_000;

export class StartupTaints {
  readonly #options: StartupTaintsOptions;
  /** Pods of agents on whose node nothing was left to do. */
  #settled: ReadonlySet<string> = new Set();
  #listedAt = 0;
  /** Which mirrors named which taints then. */
  #listedFor = '';
  /** What the operator may not do with nodes. */
  #missing: 'list' | 'patch' | undefined;

  constructor(options: StartupTaintsOptions) {
    this.#options = options;
  }

  /** Why the taint of this mirror stays where it is. */
  obstacles(mirror: string): readonly Obstacle[] {
    const key = keyOf(this.#options.mirrors.get(mirror) as StoredMirror | undefined);
    if (key === undefined || this.#missing === undefined) return [];
    const message = `Taint ${key} of spec.nodes.startupTaint stays on nodes: the operator has no right to ${this.#missing} nodes (deploy/base/rbac.yaml)`;
    return [{ reason: 'TaintNotRemoved', message }];
  }

  /** Removes what is due; makes no request while no mirror names a taint, or nothing is new. */
  async remove(signal: AbortSignal): Promise<void> {
    const mirrors = this.#taintingMirrors();
    const { reports } = this.#options;
    const agents = reports.agents();
    if (mirrors.length === 0 || !this.#isDue(mirrors, agents)) return;
    const tainted = await this.#allowed('list', mirrors, () => this.#taintedNodes(mirrors, signal));
    if (tainted === undefined) return;
    // Nothing is left that the operator may not do.
    if (tainted.length === 0 && this.#missing !== undefined) this.#say(undefined, mirrors);
    this.#listedAt = this.#now();
    this.#listedFor = textOf(mirrors);
    const names = new Set(tainted.map(({ metadata }) => metadata.name));
    this.#settled = new Set(agents.filter(({ node }) => !names.has(node)).map(({ pod }) => pod));
    const removals = planRemovals({ mirrors, agents, nodes: tainted, now: this.#now() });
    await eachOf(removals, parallel, (removal) => this.#patch(removal, mirrors, signal));
  }

  /** There is a new agent, or a mirror with another taint, or it was long ago. */
  #isDue(mirrors: readonly TaintingMirror[], agents: readonly NodeAgent[]): boolean {
    if (this.#now() - this.#listedAt >= relistMs || this.#listedFor !== textOf(mirrors)) return true;
    return !agents.every(({ pod }) => this.#settled.has(pod));
  }

  /** Also of mirrors that are being deleted: pods wait for their taint all the same. */
  #taintingMirrors(): readonly TaintingMirror[] {
    const { mirrors, reports } = this.#options;
    return (mirrors.list() as StoredMirror[]).flatMap((stored) => {
      const key = keyOf(stored);
      const { name } = stored.metadata;
      return key === undefined ? [] : [{ name, key, nodes: reports.of(name) ?? [] }];
    });
  }

  /** Page by page: nodes are large, and hardly any has the taint. */
  async #taintedNodes(
    mirrors: readonly TaintingMirror[],
    signal: AbortSignal,
  ): Promise<readonly TaintedNode[]> {
    const { client } = this.#options;
    const found: TaintedNode[] = [];
    for await (const page of pagesOf<TaintedNode>(client, nodes, { signal }))
      found.push(...page.filter((node) => mirrors.some(({ key }) => hasTaint(node, key))));
    return found;
  }

  async #patch(
    { node, keys, patch }: Removal,
    mirrors: readonly TaintingMirror[],
    signal: AbortSignal,
  ): Promise<void> {
    const { client, logger } = this.#options;
    const options = { contentType: 'json', fieldManager, signal } as const;
    const patched = await this.#allowed('patch', mirrors, () =>
      client.patch(nodes, { name: node }, patch, options).catch(ifChanged),
    );
    if (patched !== undefined) logger.info({ node, taints: keys }, 'Removed a startup taint');
  }

  /** Undefined where it was forbidden, or came to nothing: the next round tries again. */
  async #allowed<T>(
    verb: 'list' | 'patch',
    mirrors: readonly TaintingMirror[],
    work: () => Promise<T>,
  ): Promise<T | undefined> {
    try {
      const result = await work();
      if (this.#missing === verb) this.#say(undefined, mirrors);
      return result;
    } catch (error) {
      if (!(error instanceof ApiError && error.forbidden)) throw error;
      if (this.#missing !== verb) this.#say(verb, mirrors);
      return undefined;
    }
  }

  #say(missing: 'list' | 'patch' | undefined, mirrors: readonly TaintingMirror[]): void {
    this.#missing = missing;
    for (const { name } of mirrors) this.#options.changed(name);
  }

  #now(): number {
    return (this.#options.now?.() ?? new Date()).getTime();
  }
}

function textOf(mirrors: readonly TaintingMirror[]): string {
  return mirrors.map(({ name, key }) => `${name} ${key}`).join();
}

/** A node that is gone, or whose taints were changed meanwhile. */
function ifChanged(error: unknown): undefined {
  if (error instanceof ApiError && (error.notFound || error.conflict || error.invalid)) return undefined;
  throw error;
}

/** Of mirrors that cannot be read, too: their nodes have agents. */
function keyOf(stored: StoredMirror | undefined): string | undefined {
  const { startupTaint } = (stored?.spec?.['nodes'] ?? {}) as { startupTaint?: unknown };
  return typeof startupTaint === 'string' ? startupTaint : undefined;
}
