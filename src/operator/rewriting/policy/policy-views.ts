/** What the cluster has of the policy: parameters, policies and bindings, each a view on a store. Both replicas keep them. */
import { createHash } from 'node:crypto';
import { isRecord } from '../../../api/is-record.ts';
import { rewriteRulesKind } from '../../../api/rewrite-rules-kind.ts';
import type { KubeClient } from '../../../kube/client.ts';
import type { KubeObject } from '../../../kube/object.ts';
import { Reflector } from '../../../kube/reflector.ts';
import type { ResourceType } from '../../../kube/resource-type.ts';
import { Store } from '../../../kube/store.ts';
import type { Logger } from '../../../observe/log.ts';
import { LiveView } from '../../live-view.ts';
import { ourLabels } from './names.ts';
import type { PolicyVersion } from './policy-object.ts';
import { ServedVersion } from './served-version.ts';

export interface PolicyViewsOptions {
  readonly client: KubeClient;
  readonly maxPauseMs: number;
  readonly logger: Logger;
  /** How often it is asked what the API server serves. */
  readonly lookMs?: number;
}

interface Watched {
  readonly type: ResourceType;
  readonly view: LiveView;
  readonly reflector: Reflector;
}

const labelSelector = Object.entries(ourLabels)
  .map(([key, value]) => `${key}=${value}`)
  .join(',');

/** What stands in a view instead of rules, which may have a megabyte. */
export const digestField = 'digest';

export class PolicyViews {
  readonly parameters: Watched;
  readonly served: ServedVersion;
  readonly #options: PolicyViewsOptions;
  readonly #listeners = new Set<() => void>();
  #policies:
    | { readonly policies: Watched; readonly bindings: Watched; readonly stop: AbortController }
    | undefined;

  constructor(options: PolicyViewsOptions) {
    this.#options = options;
    this.parameters = this.#watch(rewriteRulesKind, prepared);
    const { client, logger, lookMs } = options;
    const changed = (version: PolicyVersion | undefined) => this.#follow(version);
    this.served = new ServedVersion({ client, changed, logger, ...(lookMs !== undefined && { lookMs }) });
  }

  /** Undefined where the API server serves none. */
  get policies(): Omit<Watched, 'reflector'> | undefined {
    return this.#policies?.policies;
  }

  get bindings(): Omit<Watched, 'reflector'> | undefined {
    return this.#policies?.bindings;
  }

  /** True once everything was read, or is known not to be readable. */
  get synced(): boolean {
    return (
      this.served.known &&
      this.#all().every(({ reflector }) => reflector.synced || reflector.state === 'forbidden')
    );
  }

  /** What keeps a policy from being made, for people. */
  get obstacle(): string | undefined {
    const { reflector, type } = this.parameters;
    if (reflector.state === 'missing')
      return `CustomResourceDefinition ${type.plural}.${type.group} is missing`;
    if (this.served.version === undefined) return 'the API server serves no MutatingAdmissionPolicy';
    const forbidden = this.#all().find((each) => each.reflector.state === 'forbidden');
    return forbidden && `the operator has no right to watch ${forbidden.type.plural}.${forbidden.type.group}`;
  }

  /** Calls `listener` with every change that is not our own; returns what ends that. */
  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Follows everything until `signal` is aborted; never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    signal.addEventListener('abort', () => this.#policies?.stop.abort(), { once: true });
    await Promise.all([this.parameters.reflector.run(signal), this.served.run(signal)]);
  }

  #all(): Watched[] {
    const { policies, bindings } = this.#policies ?? {};
    return [this.parameters, policies, bindings].filter((each) => each !== undefined);
  }

  /** Policies of another version are other objects to the API's paths, though not to its store. */
  #follow(version: PolicyVersion | undefined): void {
    this.#policies?.stop.abort();
    this.#policies = version === undefined ? undefined : this.#policiesOf(version);
    this.#tell();
  }

  #policiesOf(version: PolicyVersion) {
    const stop = new AbortController();
    const [policies, bindings] = [
      this.#watch(policyType(version)),
      this.#watch(bindingType(version)),
    ] as const;
    for (const { reflector } of [policies, bindings]) void reflector.run(stop.signal);
    return { policies, bindings, stop };
  }

  #watch(type: ResourceType, prepare: (object: KubeObject) => KubeObject = (object) => object): Watched {
    const { client, maxPauseMs, logger } = this.#options;
    const store = new Store({ prepare, logger });
    const onState = () => this.#tell();
    const selection = { labelSelector };
    const reflector = new Reflector({ client, type, store, selection, maxPauseMs, logger, onState });
    const view = new LiveView(store);
    view.subscribe(() => this.#tell());
    return { type, view, reflector };
  }

  #tell(): void {
    for (const listener of this.#listeners) listener();
  }
}

function policyType(version: PolicyVersion): ResourceType {
  return {
    group: 'admissionregistration.k8s.io',
    version,
    plural: 'mutatingadmissionpolicies',
    kind: 'MutatingAdmissionPolicy',
    namespaced: false,
  };
}

function bindingType(version: PolicyVersion): ResourceType {
  const kind = 'MutatingAdmissionPolicyBinding';
  return { ...policyType(version), plural: 'mutatingadmissionpolicybindings', kind };
}

/** A RewriteRules object as it is kept: with a digest of its rules. */
export function prepared(object: KubeObject): KubeObject {
  const { managedFields: _, ...metadata } = object.metadata;
  return { ...object, metadata, spec: { [digestField]: digestOf(object['spec']) } };
}

/** The same text for the same content, whatever the order of its fields. */
export function digestOf(value: unknown): string {
  return createHash('sha256')
    .update(JSON.stringify(value, sortedKeys) ?? '')
    .digest('hex');
}

function sortedKeys(_key: string, value: unknown): unknown {
  if (!isRecord(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([one], [other]) => (one < other ? -1 : 1)));
}
