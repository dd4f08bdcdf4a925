/**
 * Polls what node agents say of their nodes, keeps the newest of it, and tells which mirrors have to be looked at again. The main file
 * of this folder; runs beside the reconciler, which only reads from it.
 */
import type { SecureContext } from 'node:tls';
import { caSecretName } from '../../api/names.ts';
import type { OperatorSettings } from '../../api/settings.ts';
import type { KubeClient } from '../../kube/client.ts';
import { pageSize, pagesOf } from '../../kube/pages.ts';
import { errorMessage } from '../../observe/error-message.ts';
import type { Logger } from '../../observe/log.ts';
import { readAuthority } from '../certificates/authority-secret.ts';
import { defaultPause, eachOf, inRounds, type Pause } from '../polling/rounds.ts';
import { portOf } from '../registry-mirror/node-port.ts';
import { pods } from '../resource-types.ts';
import type { Views } from '../views.ts';
import { type AgentAnswer, type AgentRequest, type AskAgent, askAgent } from './ask-agent.ts';
import { KnownAgents, type NodeOfMirror, type Since, whomToAsk } from './known-agents.ts';
import { type DeliveredList, ListDelivery } from './list-delivery.ts';
import { type AgentEndpoint, agentSelector, type NodeAgent, nodeAgents } from './node-agents.ts';
import { type ContextOf, OperatorIdentity } from './operator-identity.ts';
import { parseNodeReport } from './parse-report.ts';
import { type NodesNow, ToldStates } from './told-states.ts';

export interface NodeReportsOptions {
  readonly client: Pick<KubeClient, 'list'>;
  readonly settings: OperatorSettings;
  readonly views: Pick<Views, 'daemonSets' | 'secrets'>;
  /** What the status of this mirror says of its nodes is out of date. */
  readonly changed: (mirror: string) => void;
  /** Called when a round is over and the newest is known; rejects only when `signal` is aborted. */
  readonly afterRound?: (signal: AbortSignal) => Promise<void>;
  /** The version of the shared agents' list that has the mirror as it is to be wired, infinite until there is one; undefined where any will do. */
  readonly listedSince?: (mirror: string) => number | undefined;
  /** Nodes of which news is awaited. */
  readonly awaited?: () => ReadonlySet<string>;
  readonly logger: Logger;
  readonly ask?: AskAgent;
  readonly now?: () => Date;
  readonly random?: () => number;
  readonly pauseMs?: Pause;
}

/** Which agents a mirror has. */
interface AgentsOf {
  readonly isShared?: boolean;
  readonly version?: string | undefined;
}

const parallel = 50;
/** So long those are asked first that are new or do not answer; with `wellPerRound` a round is over in less than a minute. */
const pressingMs = 20_000;
const nodesLogged = 5;
/** Who waits asks again within this time. */
const wantedMs = 10_000;
/** An operator that is only just installed makes shared agents, and no event tells when they are there. */
const beginningMs = 60_000;

export class NodeReports {
  readonly #options: NodeReportsOptions;
  readonly #known = new KnownAgents();
  readonly #delivery: ListDelivery;
  readonly #identity = new OperatorIdentity();
  #contextOf: ContextOf | undefined;
  readonly #told = new ToldStates();
  #complete = false;
  /** Mirrors that wait for a round, with the version of their agents' DaemonSet: they are told of when it is over, also where there is nobody. */
  readonly #unanswered = new Map<string, string>();
  /** Mirrors of which a round found nobody, with that version. */
  readonly #nobody = new Map<string, string>();
  #woken = Promise.withResolvers<void>();
  /** The agents were listed once: who is not known is not there. */
  #listed = false;
  /** Somebody waits for what nodes say next. */
  #wantedUntil = 0;
  /** What was last wrong with a whole round. */
  #trouble = '';

  constructor(options: NodeReportsOptions) {
    this.#options = options;
    this.#delivery = new ListDelivery({
      agents: () => this.#known.all(),
      ask: (endpoint, asked, signal) => this.ask(endpoint, asked, signal),
      visit: (agent, signal) => this.#poll(agent, signal),
      visited: () => this.#tellNews(new Map()),
      logger: options.logger,
      now: () => this.#now(),
      pauseMs: (options.pauseMs ?? defaultPause).least / 15,
    });
  }

  /**
   * The nodes of a mirror, by name; undefined: nobody was asked yet, and the mirror is told of when that is done. `isShared`: its agents are
   * the shared ones. Where no node is known, agents are looked for once in each `version` of their DaemonSet, where that is given.
   */
  of(mirror: string, options: AgentsOf = {}): readonly NodeOfMirror[] | undefined {
    const { isShared = false, version } = options;
    const { nodes } = this.#nodesNow(mirror, isShared);
    const isKnown = nodes.length > 0 || version === undefined || this.#nobody.get(mirror) === version;
    if (this.#complete && isKnown) return nodes;
    this.#unanswered.set(mirror, version ?? '');
    if (version !== undefined) this.#woken.resolve();
    return undefined;
  }

  /** The nodes of shared agents that may still hold something of the mirror, by what they said since then; undefined: it is not known who there is. */
  holding(
    mirror: string,
    since: Since,
  ): { readonly nodes: readonly string[]; readonly of: number } | undefined {
    this.#wantedUntil = this.#now() + wantedMs;
    return this.#listed ? this.#known.holding(mirror, since) : undefined;
  }

  /** The nodes of shared agents that may still wire the mirror, by what they said since then; undefined: it is not known who there is. */
  listing(mirror: string, since: Since): readonly string[] | undefined {
    this.#wantedUntil = this.#now() + wantedMs;
    return this.#listed ? this.#known.listing(mirror, since) : undefined;
  }

  /** Brings shared agents this list, those that start later too. */
  deliver(list: DeliveredList): void {
    this.#delivery.deliver(list);
  }

  /** There are to be so many shared agents: where fewer are known, they are looked for soon. */
  expect(count: number): void {
    const shared = this.agents().filter(({ mirror }) => mirror === undefined);
    if (shared.length >= count || this.#now() < this.#wantedUntil) return;
    this.#wantedUntil = this.#now() + wantedMs;
    this.#woken.resolve();
  }

  /** Every agent there is. */
  agents(): readonly NodeAgent[] {
    return this.#known.all().map(({ agent }) => agent);
  }

  /** Asks one agent for anything; rejects where it does not answer. */
  ask(endpoint: AgentEndpoint, asked: AgentRequest, signal: AbortSignal): Promise<AgentAnswer> {
    const { ask = askAgent } = this.#options;
    return ask(endpoint, this.#context(endpoint), asked, signal);
  }

  /** Polls in rounds until `signal` is aborted; never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    if (this.#options.settings.nodeDaemonSets === 'shared') this.#wantedUntil = this.#now() + beginningMs;
    const hurries = () => this.#now() < this.#wantedUntil || this.#known.hasNews(this.#now());
    const woken = () => this.#woken.promise;
    const rounds = inRounds(() => this.#round(signal), { ...this.#options, hurries, woken }, signal);
    await Promise.all([rounds, this.#delivery.run(signal)]);
  }

  async #round(signal: AbortSignal): Promise<void> {
    this.#woken = Promise.withResolvers();
    const waiting = new Map(this.#unanswered);
    try {
      await this.#gather(signal);
      this.#trouble = '';
      if (signal.aborted) return;
      this.#tell(waiting);
      await this.#options.afterRound?.(signal);
    } catch (error) {
      if (signal.aborted) return;
      this.#answer(waiting);
      if (this.#trouble === errorMessage(error)) return;
      this.#trouble = errorMessage(error);
      this.#options.logger.error({ error }, 'Could not ask node agents');
    }
  }

  async #gather(signal: AbortSignal): Promise<void> {
    const { settings, views, awaited } = this.#options;
    const { namespace } = settings;
    if (!this.#mayBeAsked()) return this.#known.sync([]);
    this.#known.sync(await this.#listAgents(signal));
    this.#listed = true;
    const secret = views.secrets.get(`${namespace}/${caSecretName}`);
    if (secret === undefined) return;
    this.#contextOf = await this.#identity.prepare(readAuthority(secret), new Date(this.#now()));
    const { pressing, well } = whomToAsk(this.#known.all(), this.#now(), awaited?.());
    const failed: Failure[] = [];
    await eachOf(this.#inTime(pressing, well), parallel, async (agent) => {
      const failure = await this.#poll(agent, signal);
      if (failure !== undefined) failed.push(failure);
    });
    this.#delivery.wake();
    if (!signal.aborted) this.#logFailures(failed);
  }

  /**
   * Few are taken from what the API server has in memory, which it sends in one answer; of many a page at a time is kept only until the little
   * is read that we need of each pod.
   */
  async #listAgents(signal: AbortSignal): Promise<NodeAgent[]> {
    const { client, settings } = this.#options;
    const { namespace, nodePorts } = settings;
    const areFew = this.#listed && this.#known.all().length <= pageSize;
    const selection = { namespace, labelSelector: agentSelector, signal };
    const agents: NodeAgent[] = [];
    for await (const page of pagesOf(client, pods, selection, areFew ? { resourceVersion: '0' } : {}))
      agents.push(...nodeAgents(page, nodePorts.first));
    return agents;
  }

  /** False where no agent there is could be asked: not one request is made then. */
  #mayBeAsked(): boolean {
    const { settings, views } = this.#options;
    if (settings.nodeDaemonSets === 'shared') return true;
    return views.daemonSets.list().some((set) => portOf(set) !== undefined);
  }

  *#inTime(pressing: readonly NodeAgent[], well: readonly NodeAgent[]): Iterable<NodeAgent> {
    const end = this.#now() + pressingMs;
    for (const agent of pressing) {
      if (this.#now() >= end) break;
      yield agent;
    }
    yield* well;
  }

  /** Returns what is wrong where nothing was before; of an agent that is only starting nothing is expected. */
  async #poll(agent: NodeAgent, signal: AbortSignal): Promise<Failure | undefined> {
    if (agent.endpoint === undefined || signal.aborted) return undefined;
    const askedAt = this.#now();
    try {
      const { status, text } = await this.ask(agent.endpoint, { method: 'GET', path: '/status' }, signal);
      if (status !== 200) throw new Error(`expected 200, got ${status}`);
      const report = parseNodeReport(text);
      this.#known.heard(agent, report, askedAt);
      await this.#delivery.bring(agent, report, signal);
      return undefined;
    } catch (error) {
      if (signal.aborted) return undefined;
      return this.#known.failed(agent, this.#now()) && agent.ready
        ? { node: agent.node, detail: errorMessage(error) }
        : undefined;
    }
  }

  /** One line, however many they are. */
  #logFailures(failed: readonly Failure[]): void {
    const [first] = failed;
    if (first === undefined) return;
    const nodes = failed.slice(0, nodesLogged).map(({ node }) => node);
    const fields = { count: failed.length, nodes, detail: first.detail };
    this.#options.logger.warn(fields, 'Could not read what node agents say');
  }

  /** From now on what is known is told to those that were waiting, be it nothing. */
  #answer(waiting: ReadonlyMap<string, string>): void {
    this.#complete = true;
    for (const [mirror, version] of waiting) {
      this.#nobody.set(mirror, version);
      if (this.#unanswered.get(mirror) === version) this.#unanswered.delete(mirror);
      this.#options.changed(mirror);
    }
  }

  #tell(waiting: ReadonlyMap<string, string>): void {
    this.#tellNews(waiting);
    this.#answer(waiting);
  }

  #nodesNow(mirror: string, isShared = false): NodesNow {
    const since = this.#options.listedSince?.(mirror);
    return { nodes: this.#known.of(mirror, this.#now(), { isShared, since }), since };
  }

  #tellNews(waiting: ReadonlyMap<string, string>): void {
    const news = this.#told.news(this.#known.mirrors(), (mirror) => this.#nodesNow(mirror));
    for (const mirror of news) if (!waiting.has(mirror)) this.#options.changed(mirror);
  }

  #context({ authority }: AgentEndpoint): SecureContext {
    if (this.#contextOf === undefined) throw new Error('the operator has no certificate yet');
    return this.#contextOf(authority);
  }

  #now(): number {
    return (this.#options.now?.() ?? new Date()).getTime();
  }
}

interface Failure {
  readonly node: string;
  readonly detail: string;
}
