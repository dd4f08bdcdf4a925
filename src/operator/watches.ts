/** The reflectors of an operator and the views on their stores. Both replicas keep them, so that a takeover is instant. */
import { imageswapConfigMap, selectorLabels } from '../api/names.ts';
import type { OperatorSettings } from '../api/settings.ts';
import type { KubeClient, Selection } from '../kube/client.ts';
import type { KubeObject } from '../kube/object.ts';
import { Reflector } from '../kube/reflector.ts';
import type { ResourceType } from '../kube/resource-type.ts';
import { Store, type StoreOptions } from '../kube/store.ts';
import type { Logger } from '../observe/log.ts';
import { cacheSlices, preparedSlice } from './cache-reports/cache-endpoints.ts';
import { LiveView } from './live-view.ts';
import { credentialsSecrets, masqueradeHosts, mirrorsOf } from './mirror-keys.ts';
import { preparedSecret } from './prepared-secret.ts';
import { preparedBundle } from './registry-mirror/ca-bundle.ts';
import {
  certificates,
  configMaps,
  daemonSets,
  endpointSlices,
  issuers,
  mutatingWebhookConfigurations,
  persistentVolumeClaims,
  podDisruptionBudgets,
  registryMirrors,
  secrets,
  services,
  statefulSets,
} from './resource-types.ts';
import { credentialsIndex, masqueradeIndex, mirrorIndex, type Views } from './views.ts';

export interface WatchOptions {
  readonly client: KubeClient;
  readonly settings: OperatorSettings;
  /** Upper bound of the pause before a lost list or watch is tried again. */
  readonly maxPauseMs: number;
  readonly logger: Logger;
}

/** One watched type. */
interface Watch {
  readonly reflector: Reflector;
  readonly view: LiveView;
  /** What an old installation's RBAC may forbid: the operator starts without it. */
  readonly optional: boolean;
}

/** How soon a type that most clusters never get (cert-manager's) is looked for again. */
const optionalPauseMs = 60_000;

export class Watches {
  readonly views: Views;
  readonly #options: WatchOptions;
  readonly #watches: Watch[] = [];
  readonly #mirrors: Watch;

  constructor(options: WatchOptions) {
    this.#options = options;
    const { settings } = options;
    const namespace = settings.namespace;
    const labelled = { namespace, labelSelector: `app=${selectorLabels('').app}` };
    this.#mirrors = this.#watch(
      registryMirrors,
      {},
      {
        indexes: { [masqueradeIndex]: masqueradeHosts, [credentialsIndex]: credentialsSecrets },
      },
      { theirSpec: true },
    );
    const prepare = (secret: KubeObject) => preparedSecret(secret, settings);
    const byMirror = { indexes: { [mirrorIndex]: (claim: KubeObject) => [...mirrorsOf(claim)] } };
    this.views = {
      mirrors: this.#mirrors.view,
      services: this.#watch(services, labelled).view,
      secrets: this.#watch(secrets, { namespace }, { prepare }).view,
      statefulSets: this.#watch(statefulSets, labelled).view,
      daemonSets: this.#watch(daemonSets, labelled).view,
      disruptionBudgets: this.#watch(podDisruptionBudgets, labelled, {}, { optional: true }).view,
      claims: this.#watch(persistentVolumeClaims, labelled, byMirror, { optional: true }).view,
      endpointSlices: this.#endpointSlices(),
      ...(settings.caCertificateBundle !== undefined && { caBundle: this.#caBundle() }),
      ...(settings.addressingScheme === 'services' && this.#servicesMode()),
      ...(settings.rewriting !== undefined && {
        webhookConfigurations: this.#watch(mutatingWebhookConfigurations, {}, {}, { optional: true }).view,
      }),
    };
  }

  /** False from when the API server does not know our kind until it has listed it again: no mirrors then means nothing. */
  get mirrorsKnown(): boolean {
    return this.#mirrors.reflector.isKnown;
  }

  /** True once every store has been equal to the server's state. */
  get synced(): boolean {
    return this.#watches.every(isSynced);
  }

  /** Runs until `signal` is aborted. */
  async run(signal: AbortSignal): Promise<void> {
    await Promise.all(this.#watches.map(({ reflector }) => reflector.run(signal)));
  }

  /** Resolves when `synced`; rejects with the signal's reason. */
  async whenSynced(signal: AbortSignal): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const look = setInterval(() => this.synced && resolve(), 20);
    const onAbort = () => reject(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
    await promise.finally(() => {
      clearInterval(look);
      signal.removeEventListener('abort', onAbort);
    });
  }

  #caBundle(): LiveView {
    const { namespace, caCertificateBundle } = this.#options.settings;
    const selection = { namespace, fieldSelector: `metadata.name=${caCertificateBundle}` };
    return this.#watch(configMaps, selection, { prepare: preparedBundle }, { optional: true }).view;
  }

  #endpointSlices(): LiveView {
    const selection = { namespace: this.#options.settings.namespace, labelSelector: cacheSlices };
    return this.#watch(endpointSlices, selection, { prepare: preparedSlice }, { optional: true }).view;
  }

  #servicesMode(): Partial<Views> {
    const { namespace, imageswapNamespace } = this.#options.settings;
    const fieldSelector = `metadata.name=${imageswapConfigMap.name}`;
    return {
      configMaps: this.#watch(configMaps, { namespace: imageswapNamespace, fieldSelector }).view,
      certificates: this.#watch(certificates, { namespace }, {}, { optional: true }).view,
      issuers: this.#watch(issuers, { namespace }, {}, { optional: true }).view,
    };
  }

  #watch(
    type: ResourceType,
    selection: Selection,
    storeOptions: StoreOptions<KubeObject> = {},
    { optional = false, theirSpec = false } = {},
  ): Watch {
    const { client, maxPauseMs, logger } = this.#options;
    const store = new Store({ ...storeOptions, logger });
    const timing = optional ? { missingPauseMs: optionalPauseMs } : {};
    const reflector = new Reflector({ client, type, store, selection, maxPauseMs, logger, timing });
    const watch = { reflector, view: new LiveView(store, { theirSpec }), optional };
    this.#watches.push(watch);
    return watch;
  }
}

function isSynced({ reflector, optional }: Watch): boolean {
  return reflector.synced || (optional && reflector.state === 'forbidden');
}
