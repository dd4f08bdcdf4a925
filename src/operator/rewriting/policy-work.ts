/**
 * Rewriting inside the API server: makes the policy, its bindings and its parameters as the plan wants them, puts back what others change, and says who
 * rewrites where. Which pods the webhook gets follows from `routing`.
 */
import type { RewriteSettings } from '../../api/rewrite-settings.ts';
import type { KubeClient } from '../../kube/client.ts';
import type { KubeObject } from '../../kube/object.ts';
import { errorMessage } from '../../observe/error-message.ts';
import { WaitingError } from '../../observe/errors.ts';
import type { Logger } from '../../observe/log.ts';
import type { OwnerReference } from '../../resources/object.ts';
import type { RuleWatch } from '../../rewriting/rule-watch.ts';
import { BindingKeeper } from './policy/binding-keeper.ts';
import { type HeldPlan, holdBack } from './policy/hold-back.ts';
import { ParameterKeeper } from './policy/parameter-keeper.ts';
import { type NamespaceLabels, type Plan, type PlanInputs, planPolicy } from './policy/plan.ts';
import { PolicyViews } from './policy/policy-views.ts';
import { Refusals } from './refusals.ts';
import type { Routing } from './routing.ts';

export interface PolicyWorkOptions {
  readonly client: KubeClient;
  readonly settings: RewriteSettings;
  readonly rules: Pick<RuleWatch, 'table' | 'namespaces'>;
  /** Who owns what is made. */
  readonly owner: (signal: AbortSignal) => Promise<readonly OwnerReference[]>;
  /** Upper bound of the pause before a lost list or watch is tried again. */
  readonly maxPauseMs: number;
  readonly logger: Logger;
  readonly now?: () => Date;
  /** How often it is asked what the API server serves. */
  readonly lookMs?: number;
}

const notReadMs = 500;
/** While something is missing that a person has to bring. */
const missingMs = 10_000;

export class PolicyWork {
  readonly #options: PolicyWorkOptions;
  readonly #views: PolicyViews;
  readonly #parameters: ParameterKeeper;
  #planned: { readonly inputs: PlanInputs; readonly plan: Plan } | undefined;
  /** Why the last pass did not bring about what it should. */
  #failure: string | undefined;
  #told: string | undefined;

  constructor(options: PolicyWorkOptions) {
    this.#options = options;
    this.#views = new PolicyViews(options);
    this.#parameters = new ParameterKeeper({ ...options, view: this.#views.parameters.view });
  }

  /** True once it is known what the cluster has, and what the API server serves. */
  get synced(): boolean {
    return this.#views.synced;
  }

  /** Follows what the cluster has until `signal` is aborted; never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    await this.#views.run(signal);
  }

  /** Calls `listener` when somebody else changed what is ours, or the API server serves something else; returns what ends that. */
  subscribe(listener: () => void): () => void {
    return this.#views.subscribe(listener);
  }

  /** Who is to rewrite where. As long as the policy cannot be brought about everything is the webhook's. */
  async routing(_signal: AbortSignal): Promise<Routing> {
    const { routing } = this.#plan();
    if (this.#failure === undefined || routing.engine === 'webhook') return routing;
    return { engine: 'webhook', why: this.#failure, webhook: 'all' };
  }

  /**
   * Makes everything as it should be, but gives up only what is `covered`: the namespaces that the webhook has taken on. Returns the milliseconds after
   * which it wants to be called again. Throws what the API server says.
   */
  async reconcile(signal: AbortSignal, covered: Routing['webhook']): Promise<number | undefined> {
    const plan = this.#plan();
    this.#tell(plan.routing);
    const held = holdBack(plan, covered, (name) => this.#views.bindings?.view.get(name));
    try {
      if (held !== undefined) await this.#bringAbout(held, signal);
      this.#failure = undefined;
    } catch (error) {
      if (!signal.aborted) this.#failure = `the policy could not be brought about: ${errorMessage(error)}`;
      this.#views.served.lookAgain();
      throw error;
    }
    return this.#views.obstacle === undefined ? undefined : missingMs;
  }

  /**
   * In the order in which a crash does no harm: parameters before what refers to them; bindings give namespaces up before others take them on, so that
   * no pod is rewritten by two sets of rules; what nothing refers to any more goes last. A namespace whose parameters are refused has none, and keeps no
   * other one waiting: the refusal is thrown at the end.
   */
  async #bringAbout(plan: HeldPlan, signal: AbortSignal): Promise<void> {
    const { client, logger } = this.#options;
    const { parameters, policies, bindings } = this.#views;
    const owner = await this.#options.owner(signal);
    const isMissing = parameters.reflector.state === 'missing';
    const written = isMissing ? [] : plan.parameters.filter((each) => !plan.left.includes(each));
    const [ruled, unruled] = split(written, ({ rules }) => rules !== undefined);
    const refusals = new Refusals();
    await refusals.over(ruled, (each) => this.#parameters.apply(each, owner, signal));
    if (policies !== undefined && bindings !== undefined)
      await new BindingKeeper({ client, policies, bindings, owner, logger }).bringAbout(plan, signal);
    await refusals.over(unruled, (each) => this.#parameters.apply(each, owner, signal));
    if (!isMissing) await this.#parameters.deleteOthers(plan.parameters, signal);
    await refusals.over([...ruled, ...unruled], (each) => this.#parameters.say(each, signal));
    refusals.throwIfAny();
  }

  /** Made anew only where its inputs are others: it may take a second for tens of thousands of rules. */
  #plan(): Plan {
    const { rules, settings } = this.#options;
    if (!this.synced) throw new WaitingError('PolicyNotRead', 'The policy was not read yet', notReadMs);
    const { table } = rules;
    const { obstacle, served } = this.#views;
    const inputs: PlanInputs = {
      table,
      namespaces: namespacesWithMaps(table.sources.imageMaps ?? [], rules.namespaces.list()),
      settings,
      served:
        obstacle === undefined && served.version !== undefined
          ? served.version
          : { obstacle: obstacle ?? '' },
    };
    if (this.#planned === undefined || !isSame(this.#planned.inputs, inputs))
      this.#planned = { inputs, plan: planPolicy(inputs) };
    return this.#planned.plan;
  }

  #tell({ engine, why, webhook }: Routing): void {
    const told = JSON.stringify([engine, why, webhook]);
    if (told !== this.#told)
      this.#options.logger.info({ engine, why, webhook }, 'Decided who rewrites images');
    this.#told = told;
  }
}

function namespacesWithMaps(
  maps: readonly { readonly namespace: string }[],
  live: readonly KubeObject[],
): NamespaceLabels[] {
  const withMaps = new Set(maps.map(({ namespace }) => namespace));
  return live
    .filter(({ metadata }) => withMaps.has(metadata.name) && metadata.deletionTimestamp === undefined)
    .map(({ metadata: { name, labels } }) => ({ name, labels }))
    .sort((one, other) => (one.name < other.name ? -1 : 1));
}

function isSame(one: PlanInputs, other: PlanInputs): boolean {
  const key = ({ namespaces, served }: PlanInputs) => JSON.stringify([namespaces, served]);
  return one.table === other.table && key(one) === key(other);
}

function split<T>(items: readonly T[], test: (item: T) => boolean): [T[], T[]] {
  return [items.filter(test), items.filter((item) => !test(item))];
}
