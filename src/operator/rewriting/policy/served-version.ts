/** Which version of MutatingAdmissionPolicy the API server serves: asked by discovery, and again from time to time, because servers are updated. */
import { setTimeout as delay } from 'node:timers/promises';
import type { KubeClient } from '../../../kube/client.ts';
import type { Logger } from '../../../observe/log.ts';
import type { PolicyVersion } from './policy-object.ts';

export interface ServedVersionOptions {
  readonly client: Pick<KubeClient, 'request'>;
  /** Called when the answer is another one than before. */
  readonly changed: (version: PolicyVersion | undefined) => void;
  readonly logger: Logger;
  readonly lookMs?: number;
}

const group = '/apis/admissionregistration.k8s.io';
/** Best first. */
const versions: readonly PolicyVersion[] = ['v1', 'v1beta1'];
const defaultLookMs = 300_000;
const retryMs = 5_000;

export class ServedVersion {
  readonly #options: ServedVersionOptions;
  #known: { readonly version: PolicyVersion | undefined } | undefined;
  #wake = new AbortController();
  #failed = false;

  constructor(options: ServedVersionOptions) {
    this.#options = options;
  }

  /** True once the API server has answered. */
  get known(): boolean {
    return this.#known !== undefined;
  }

  /** Undefined: none, or not known yet. */
  get version(): PolicyVersion | undefined {
    return this.#known?.version;
  }

  /** Asks again now: something failed that should not. */
  lookAgain(): void {
    this.#wake.abort();
  }

  /** Looks until `signal` is aborted; never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      this.#wake = new AbortController();
      const pauseMs = await this.#look(signal);
      const either = AbortSignal.any([signal, this.#wake.signal]);
      await delay(pauseMs, undefined, { signal: either }).catch(() => undefined);
    }
  }

  async #look(signal: AbortSignal): Promise<number> {
    const { client, changed, logger, lookMs = defaultLookMs } = this.#options;
    try {
      const version = await newestServed(client, signal);
      const isNew = this.#known === undefined || this.#known.version !== version;
      this.#known = { version };
      this.#failed = false;
      if (isNew) changed(version);
      return lookMs;
    } catch (error) {
      if (!signal.aborted && !this.#failed)
        logger.warn({ error }, 'Could not ask which policies the API server serves; trying again');
      this.#failed = true;
      return retryMs;
    }
  }
}

/** Returns the best version in which policies and bindings are served; undefined: none is. Throws what the API server says. */
export async function newestServed(
  client: Pick<KubeClient, 'request'>,
  signal: AbortSignal,
): Promise<PolicyVersion | undefined> {
  const answer = (await client.request('GET', group, { signal })) as { versions?: { version: string }[] };
  const served = (answer.versions ?? []).map(({ version }) => version);
  for (const version of versions.filter((each) => served.includes(each))) {
    const { resources = [] } = (await client.request('GET', `${group}/${version}`, { signal })) as {
      resources?: { name: string }[];
    };
    const names = resources.map(({ name }) => name);
    if (
      ['mutatingadmissionpolicies', 'mutatingadmissionpolicybindings'].every((name) => names.includes(name))
    )
      return version;
  }
  return undefined;
}
