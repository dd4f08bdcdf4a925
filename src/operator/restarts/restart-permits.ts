/**
 * Allows nodes to restart a container runtime that has to read its configuration anew (`spec.nodes.containerd: configureAndRestart`), few
 * at a time over all mirrors. The main file of this folder; works on what node agents last said.
 */
import { nodeWiring } from '../../api/nodes.ts';
import type { OperatorSettings } from '../../api/settings.ts';
import { errorMessage } from '../../observe/error-message.ts';
import type { Logger } from '../../observe/log.ts';
import type { LiveView } from '../live-view.ts';
import type { NodeReports } from '../node-reports/node-reports.ts';
import type { Obstacle } from '../registry-mirror/finding.ts';
import type { StoredMirror } from '../registry-mirror/status.ts';
import { readStored } from '../registry-mirror/stored-mirror.ts';
import {
  type Candidate,
  planRestarts,
  type RestartingMirror,
  type RestartState,
  restartLimitMs,
} from './plan.ts';

export interface RestartPermitsOptions {
  readonly mirrors: Pick<LiveView, 'list'>;
  readonly settings: Pick<OperatorSettings, 'addressingScheme'>;
  readonly reports: Pick<NodeReports, 'of' | 'agents' | 'ask'>;
  /** What keeps this mirror's nodes from being restarted has changed. */
  readonly changed: (mirror: string) => void;
  readonly logger: Logger;
  readonly now?: () => Date;
}

const namesShown = 10;

export class RestartPermits {
  readonly #options: RestartPermitsOptions;
  #began: number;
  readonly #refused = new Map<string, number>();
  #state: RestartState = { running: [], stuck: [] };

  constructor(options: RestartPermitsOptions) {
    this.#options = options;
    this.#began = this.#now();
  }

  /** Nodes whose runtime is to come back. */
  awaited(): ReadonlySet<string> {
    const { running, stuck } = this.#state;
    return new Set([...running, ...stuck].map(({ node }) => node));
  }

  /** Why nothing more is restarted for a mirror. */
  obstacles(mirror: string): readonly Obstacle[] {
    const names = this.#state.stuck.filter((permit) => permit.mirror === mirror).map(({ node }) => node);
    if (names.length === 0) return [];
    const more = names.length - namesShown;
    const shown = names.slice(0, namesShown).join(', ') + (more > 0 ? ` and ${more} more` : '');
    const message = `The container runtime was restarted and did not read its configuration within ${restartLimitMs / 60_000} minutes on: ${shown}; no other node is restarted for this mirror until it does or the mirror is changed`;
    return [{ reason: 'ContainerdNotLive', message }];
  }

  /** Gives the permits that may be given now. */
  async give(signal: AbortSignal): Promise<void> {
    const before = stuckText(this.#state);
    const now = this.#now();
    // A clock that was set back.
    this.#began = Math.min(this.#began, now);
    const { state, allow } = planRestarts(this.#state, {
      mirrors: this.#restartingMirrors(),
      selectedNodes: new Set(this.#options.reports.agents().map(({ node }) => node)).size,
      refused: this.#refused,
      began: this.#began,
      now,
    });
    this.#state = state;
    const after = stuckText(state);
    for (const mirror of new Set([...before.keys(), ...after.keys()]))
      if (before.get(mirror) !== after.get(mirror)) this.#options.changed(mirror);
    for (const candidate of allow) await this.#allow(candidate, signal);
  }

  /** What is under way is not forgotten when its mirror wants no more restarts. */
  #restartingMirrors(): readonly RestartingMirror[] {
    const { mirrors, settings, reports } = this.#options;
    const concerned = new Set([...this.#state.running, ...this.#state.stuck].map(({ mirror }) => mirror));
    return (mirrors.list() as StoredMirror[]).flatMap((stored) => {
      const { name, generation, deletionTimestamp } = stored.metadata;
      const read = deletionTimestamp === undefined ? readStored(stored) : undefined;
      if (read === undefined || 'faults' in read) return [];
      const restarts =
        nodeWiring(read.mirror, settings.addressingScheme).containerd === 'configureAndRestart';
      if (!restarts && !concerned.has(name)) return [];
      return [{ name, restarts, generation, nodes: reports.of(name) ?? [] }];
    });
  }

  /** An agent that does not answer may have heard: its node counts all the same. */
  async #allow({ endpoint, ...candidate }: Candidate, signal: AbortSignal): Promise<void> {
    const { reports, logger } = this.#options;
    const { mirror, node, runtime } = candidate;
    const since = this.#now();
    const accepted = await reports
      .ask(endpoint, { method: 'POST', path: '/restart', body: { mirror, runtime } }, signal)
      .then(({ status }) => status)
      .catch((error: unknown) => errorMessage(error));
    if (accepted !== 202) {
      this.#refused.set(node, since);
      logger.warn({ mirror, node, runtime, answer: accepted }, 'Could not allow a node to restart a runtime');
    } else logger.info({ mirror, node, runtime }, 'Allowed a node to restart a runtime');
    if (typeof accepted === 'number' && accepted !== 202) return;
    const permit = { ...candidate, since, accepted: accepted === 202 };
    this.#state = { ...this.#state, running: [...this.#state.running, permit] };
  }

  #now(): number {
    return (this.#options.now?.() ?? new Date()).getTime();
  }
}

/** By mirror: the nodes for which it waits. */
function stuckText({ stuck }: RestartState): ReadonlyMap<string, string> {
  const byMirror = new Map<string, string>();
  for (const { mirror, node } of stuck) byMirror.set(mirror, `${byMirror.get(mirror) ?? ''} ${node}`);
  return byMirror;
}
