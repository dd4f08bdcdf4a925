/** Makes the operator's authority when there is none and renews it in time; one write at a time however many mirrors ask. */
import { caSecretName, fieldManager } from '../../api/names.ts';
import type { KubeClient } from '../../kube/client.ts';
import { ApiError } from '../../kube/errors.ts';
import type { KubeObject } from '../../kube/object.ts';
import { WaitingError } from '../../observe/errors.ts';
import type { Logger } from '../../observe/log.ts';
import type { LiveView } from '../live-view.ts';
import { secrets } from '../resource-types.ts';
import { type Authority, needsRenewal, newAuthoritySecret, readAuthority } from './authority-secret.ts';
import { secretText } from './secret-text.ts';
import { splitBundle } from './trust-bundle.ts';

export interface AuthorityKeeperOptions {
  readonly client: KubeClient;
  readonly namespace: string;
  readonly secrets: LiveView;
  readonly logger: Logger;
}

export class AuthorityKeeper {
  readonly #options: AuthorityKeeperOptions;
  #writing: Promise<KubeObject> | undefined;

  constructor(options: AuthorityKeeperOptions) {
    this.#options = options;
  }

  /** Returns the authority that signs now. Throws `TerminalError` when its Secret cannot be read as one. */
  async get(now: Date, signal: AbortSignal): Promise<Authority> {
    const live = this.#live();
    if (live !== undefined) {
      const authority = readAuthority(live);
      if (!needsRenewal(authority, now)) return authority;
    }
    this.#writing ??= this.#write(live, now, signal).finally(() => {
      this.#writing = undefined;
    });
    return readAuthority(await this.#writing);
  }

  #live(): KubeObject | undefined {
    const { secrets: view, namespace } = this.#options;
    return view.get(`${namespace}/${caSecretName}`);
  }

  async #write(live: KubeObject | undefined, now: Date, signal: AbortSignal): Promise<KubeObject> {
    const { namespace, logger, secrets: view } = this.#options;
    const former = live && readAuthority(live);
    const made = await newAuthoritySecret(namespace, this.#previous(former), now, former);
    const written =
      live === undefined ? await this.#create(made, signal) : await this.#renew(live, made, signal);
    view.written(written);
    logger.info(
      { object: caSecretName },
      live === undefined ? 'Created the authority' : 'Renewed the authority',
    );
    return written;
  }

  /** By create, not by apply: of two operators only one succeeds, and the other takes what is there. */
  async #create(secret: KubeObject, signal: AbortSignal): Promise<KubeObject> {
    const { client, namespace } = this.#options;
    try {
      return await client.create(secrets, secret, { fieldManager, signal });
    } catch (error) {
      if (!(error instanceof ApiError && error.alreadyExists)) throw error;
      return client.get(secrets, { namespace, name: caSecretName }, { signal });
    }
  }

  async #renew(live: KubeObject, made: KubeObject, signal: AbortSignal): Promise<KubeObject> {
    try {
      // With the resourceVersion of what was read: refused if anybody was faster.
      const object = { ...live, data: made['data'] };
      return await this.#options.client.update(secrets, object, { fieldManager, signal });
    } catch (error) {
      if (error instanceof ApiError && error.conflict) {
        throw new WaitingError('AuthorityChanged', 'The authority was changed meanwhile', 1_000, {
          cause: error,
        });
      }
      throw error;
    }
  }

  /** The renewed one, or, where the Secret was lost, those that signed what the mirrors serve. */
  #previous(former: Authority | undefined): string[] {
    if (former !== undefined) return [...splitBundle(former.certificatePem), ...former.previous];
    const leaves = this.#options.secrets.list().filter(({ metadata }) => metadata.name.endsWith('-leaf'));
    return [...new Set(leaves.flatMap((secret) => splitBundle(secretText(secret, 'ca.crt') ?? '')))];
  }
}
