/** Writes the policy and its bindings in an order in which no pod is ever rewritten by two sets of rules. */
import type { KubeClient } from '../../../kube/client.ts';
import type { KubeObject } from '../../../kube/object.ts';
import type { ResourceType } from '../../../kube/resource-type.ts';
import type { Logger } from '../../../observe/log.ts';
import type { OwnerReference } from '../../../resources/object.ts';
import type { LiveView } from '../../live-view.ts';
import { Applier } from '../../registry-mirror/apply.ts';
import { bindingNames } from './names.ts';
import { withOwner } from './parameter-keeper.ts';
import type { Plan } from './plan.ts';
import { boundNamespaces, withNamespaces } from './policy-object.ts';

interface Home {
  readonly type: ResourceType;
  readonly view: LiveView;
}

export interface BindingKeeperOptions {
  readonly client: KubeClient;
  readonly policies: Home;
  readonly bindings: Home;
  readonly owner: readonly OwnerReference[];
  readonly logger: Logger;
}

export class BindingKeeper {
  readonly #options: BindingKeeperOptions;
  readonly #applier: Applier;

  constructor(options: BindingKeeperOptions) {
    this.#options = options;
    const { policies, bindings } = options;
    const home = ({ kind }: Pick<KubeObject, 'kind'>) => (kind === policies.type.kind ? policies : bindings);
    this.#applier = new Applier({ ...options, home });
  }

  /** Throws what the API server says. */
  async bringAbout({ policy, bindings }: Plan, signal: AbortSignal): Promise<void> {
    const own = bindings.find(({ metadata }) => metadata.name === bindingNames.own);
    const others = bindings.filter((binding) => binding !== own);
    if (policy !== undefined) await this.#apply(policy, signal);
    await this.#giveUp(own, signal);
    // Before the others are applied: one of them may be wider now, by what such a binding had.
    await this.#deleteOthers(this.#options.bindings, bindings, signal);
    for (const binding of others) await this.#apply(binding, signal);
    if (own !== undefined) await this.#apply(own, signal);
    await this.#deleteOthers(this.#options.policies, policy === undefined ? [] : [policy], signal);
  }

  /** Namespaces that are to have no parameters of their own any more are taken on by the other bindings only after that. */
  async #giveUp(own: KubeObject | undefined, signal: AbortSignal): Promise<void> {
    const live = this.#options.bindings.view.get(bindingNames.own);
    if (live === undefined) return;
    const wanted = own === undefined ? [] : boundNamespaces(own);
    const before = boundNamespaces(live);
    const kept = before.filter((name) => wanted.includes(name));
    if (kept.length === before.length) return;
    if (own === undefined || kept.length === 0) await this.#applier.delete(live, signal);
    else await this.#apply(withNamespaces(own, kept), signal);
  }

  async #apply(object: KubeObject, signal: AbortSignal): Promise<void> {
    await this.#applier.apply(withOwner(object, this.#options.owner), signal);
  }

  async #deleteOthers({ view }: Home, wanted: readonly KubeObject[], signal: AbortSignal): Promise<void> {
    const names = wanted.map(({ metadata }) => metadata.name);
    for (const live of view.list())
      if (!names.includes(live.metadata.name) && view.get(live.metadata.name) !== undefined)
        await this.#applier.delete(live, signal);
  }
}
