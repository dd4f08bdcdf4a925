/** What a test does as the cluster's admin: requests, applying files, giving others an identity and rights. */
import { readFile } from 'node:fs/promises';
import { loadAll } from 'js-yaml';
import type { Agent } from 'undici';
import { eventually } from '../support/eventually.ts';
import { createAgent, type KubeObject, type RequestOptions, sendRequest } from './api-request.ts';
import { grantObjects, type PolicyRule, type Subject, serviceAccountObjects } from './identities.ts';
import { objectPath } from './object-path.ts';

/** A client of one API server, known by its URL, its authority (PEM) and a token of group `system:masters`. */
export class AdminClient {
  readonly url: string;
  /** A bearer token of user `admin`, group `system:masters`. */
  readonly adminToken: string;
  readonly #ca: string;
  #agent: Agent;

  constructor(url: string, ca: string, adminToken: string) {
    this.url = url;
    this.adminToken = adminToken;
    this.#ca = ca;
    this.#agent = createAgent(ca);
  }

  /** Sends a request as the admin (or with `init.token`) and returns parsed JSON; throws StatusError for 400 and above. */
  async adminFetch<T = KubeObject>(path: string, init: RequestOptions = {}): Promise<T> {
    return await sendRequest<T>(this.#agent, this.url + path, { token: this.adminToken, ...init });
  }

  /** Applies one object (server-side, forced, field manager `test`) and returns it as stored. */
  async apply<T = KubeObject>(object: KubeObject): Promise<T> {
    const path = await objectPath(object, (root) => this.adminFetch(root));
    return await this.adminFetch<T>(`${path}?fieldManager=test&force=true`, {
      method: 'PATCH',
      contentType: 'application/apply-patch+yaml',
      body: object,
    });
  }

  /** Applies every document of a YAML file in order and returns the objects as stored. */
  async applyFile(file: string): Promise<KubeObject[]> {
    const applied: KubeObject[] = [];
    for (const object of loadAll(await readFile(file, 'utf8')) as Array<KubeObject | null>) {
      if (object) applied.push(await this.apply(object));
    }
    return applied;
  }

  /** Applies a YAML file of CustomResourceDefinitions and waits until their resources are served. */
  async applyCrd(file: string): Promise<void> {
    for (const crd of await this.applyFile(file)) await this.#untilServed(crd);
  }

  /** Gives a user, a group or a service account `rules`, cluster-wide; a second call replaces the first. */
  async grant(subject: Subject, rules: PolicyRule[]): Promise<void> {
    for (const object of grantObjects(subject, rules)) await this.apply(object);
  }

  /** Makes a service account (and its namespace) where there is none, with `rules` when given; returns a token of it. */
  async tokenFor(account: { namespace: string; name: string }, rules?: PolicyRule[]): Promise<string> {
    const { namespace, name } = account;
    for (const object of serviceAccountObjects(namespace, name)) await this.apply(object);
    if (rules) await this.grant({ kind: 'ServiceAccount', ...account }, rules);
    const path = `/api/v1/namespaces/${namespace}/serviceaccounts/${name}/token`;
    const body = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: {} };
    const answer = await this.adminFetch<{ status: { token: string } }>(path, { method: 'POST', body });
    return answer.status.token;
  }

  /** Breaks off the requests that are under way; none can be sent afterwards. */
  async close(): Promise<void> {
    await this.#agent.destroy();
  }

  /** Leaves the connections to a server that is no more. */
  protected async reconnect(): Promise<void> {
    const before = this.#agent;
    this.#agent = createAgent(this.#ca);
    await before.destroy();
  }

  // Established comes before discovery and the handler know the resource: what a test needs is an answer.
  async #untilServed(crd: KubeObject): Promise<void> {
    const { group, names, versions } = crd['spec'] as CrdSpec;
    const served = versions.filter((version) => version.served).map((version) => version.name);
    await eventually(
      async () => {
        for (const version of served) await this.#assertServed(`/apis/${group}/${version}`, names.plural);
      },
      { message: `${crd.metadata.name} was not served` },
    );
  }

  async #assertServed(groupVersion: string, plural: string): Promise<void> {
    await this.adminFetch(`${groupVersion}/${plural}?limit=1`);
    const { resources } = await this.adminFetch<{ resources: Array<{ name: string }> }>(groupVersion);
    if (!resources.some((resource) => resource.name === plural))
      throw new Error(`${plural} is not discovered`);
  }
}

interface CrdSpec {
  group: string;
  names: { plural: string };
  versions: Array<{ name: string; served: boolean }>;
}
