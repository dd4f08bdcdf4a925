/** A real API server that calls webhooks of ours over TLS. */
import { mkdtemp, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Agent, request } from 'undici';
import { createAuthority, type KeyPair } from '../../src/cache/tls/authority.ts';
import { createAgent } from '../kubernetes/api-request.ts';
import { type ControlPlane, type ControlPlaneOptions, startControlPlane } from './control-plane.ts';
import { eventually } from './eventually.ts';
import type { Live } from './operator-world.ts';
import type { PodAccess } from './pod-access.ts';
import { removeFolder, startWebhook, type WebhookProcess } from './webhook-process.ts';

const configurations = '/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations';

/** What is sent to which address. */
export interface Registration {
  readonly name: string;
  /** Of the webhook's process, or of what stands before several. */
  readonly port: number;
  readonly path: string;
  /** Namespaces that it is for; undefined: all that nobody else is for. */
  readonly namespaces?: readonly string[];
  readonly failurePolicy?: 'Fail' | 'Ignore';
  /** Of reviews; default both. */
  readonly versions?: readonly string[];
}

/** What the API server said to a request: the object, and warnings as kubectl would show them. */
export interface Said {
  readonly status: number;
  readonly object: Live;
  readonly warnings: readonly string[];
}

export class WebhookWorld {
  readonly plane: ControlPlane;
  readonly folder: string;
  readonly authority: KeyPair;
  /** Of the webhook's service account, with the rights of `deploy/` and no others. */
  readonly access: PodAccess;
  readonly #agent: Agent;
  readonly #webhooks: WebhookProcess[] = [];

  constructor(parts: {
    plane: ControlPlane;
    folder: string;
    authority: KeyPair;
    access: PodAccess;
    ca: string;
  }) {
    this.plane = parts.plane;
    this.folder = parts.folder;
    this.authority = parts.authority;
    this.access = parts.access;
    this.#agent = createAgent(parts.ca);
  }

  /** Starts a webhook and waits until it is ready. */
  async webhook(environment: Record<string, string> = {}): Promise<WebhookProcess> {
    const webhook = await this.startWebhook(environment);
    await webhook.untilReady();
    return webhook;
  }

  /** Starts one; `certificate: false` without a certificate. */
  async startWebhook(
    environment: Record<string, string> = {},
    { certificate = true }: { certificate?: boolean } = {},
  ): Promise<WebhookProcess> {
    const { access, authority } = this;
    const options = { access, environment, ...(certificate && { authority }) };
    const webhook = await startWebhook(this.folder, options);
    this.#webhooks.push(webhook);
    return webhook;
  }

  /** Tells the API server of webhooks, in place of those before. The rules are those of `WEBHOOK_WORKLOADS=true`. */
  async register(registrations: readonly Registration[]): Promise<void> {
    const taken = registrations.flatMap(({ namespaces = [] }) => namespaces);
    const webhooks = registrations.map(
      ({ name, port, path, namespaces, versions, failurePolicy = 'Fail' }) => ({
        name: `${name}.webhook.test`,
        admissionReviewVersions: versions ?? ['v1', 'v1beta1'],
        clientConfig: {
          url: `https://127.0.0.1:${port}${path}`,
          caBundle: Buffer.from(this.authority.certificatePem).toString('base64'),
        },
        failurePolicy,
        sideEffects: 'None',
        timeoutSeconds: 10,
        reinvocationPolicy: 'IfNeeded',
        namespaceSelector: {
          matchExpressions: [
            {
              key: 'kubernetes.io/metadata.name',
              operator: namespaces === undefined ? 'NotIn' : 'In',
              values: namespaces ?? taken,
            },
          ].filter(({ values }) => values.length > 0),
        },
        rules: [
          rule('', ['pods', 'replicationcontrollers'], ['CREATE', 'UPDATE']),
          rule('', ['pods/ephemeralcontainers'], ['UPDATE']),
          rule('apps', ['deployments', 'daemonsets', 'statefulsets', 'replicasets'], ['CREATE', 'UPDATE']),
          rule('batch', ['jobs', 'cronjobs'], ['CREATE', 'UPDATE']),
        ],
      }),
    );
    await this.plane.apply({
      apiVersion: 'admissionregistration.k8s.io/v1',
      kind: 'MutatingWebhookConfiguration',
      metadata: { name: 'test' },
      webhooks,
    } as Live);
  }

  /** No webhook is called any more. */
  async unregister(): Promise<void> {
    await this.plane.adminFetch(`${configurations}/test`, { method: 'DELETE' });
  }

  /** Makes a namespace; waits for its service account where a controller makes one. */
  async namespace(name: string, labels: Record<string, string> = {}): Promise<void> {
    await this.plane.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } } as Live);
  }

  /** Makes an ImageMap. */
  async imageMap(namespace: string, lines: Record<string, string>): Promise<void> {
    await this.plane.apply({
      apiVersion: 'mapper.imagerelocation.pivotal.io/v1alpha1',
      kind: 'ImageMap',
      metadata: { name: 'map', namespace },
      spec: { map: Object.entries(lines).map(([from, to]) => ({ from, to })) },
    } as Live);
  }

  /** Makes a mirror at an address. */
  async mirror(name: string, masqueradeUrl: string, clusterIP: string, available = true): Promise<void> {
    const spec = { upstreamUrl: masqueradeUrl, masqueradeUrl };
    await this.plane.apply({
      apiVersion: 'k8s.osp.tech/v1',
      kind: 'RegistryMirror',
      metadata: { name },
      spec,
    } as Live);
    const condition = {
      type: 'CacheAvailable',
      status: available ? 'True' : 'False',
      reason: 'Serving',
      message: '',
      lastTransitionTime: '2026-01-01T00:00:00Z',
    };
    await this.plane.adminFetch(`/apis/k8s.osp.tech/v1/registrymirrors/${name}/status`, {
      method: 'PATCH',
      contentType: 'application/merge-patch+json',
      body: { status: { clusterIPs: [clusterIP], conditions: [condition] } },
    });
  }

  /** What becomes of the images of a pod that would be made in a namespace. */
  async imagesIn(
    namespace: string,
    images: Record<string, string>,
    metadata: object = {},
  ): Promise<string[]> {
    const pod = podOf('p', images, {}, metadata);
    return imagesOf(await this.create(podsOf(namespace), pod, '?dryRun=All'));
  }

  /** Sends a request to the API server as the admin. */
  async say(method: string, path: string, body?: unknown, contentType = 'application/json'): Promise<Said> {
    const response = await request(`${this.plane.url}${path}`, {
      dispatcher: this.#agent,
      method: method as 'POST',
      headers: { authorization: `Bearer ${this.plane.adminToken}`, 'content-type': contentType },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const warnings = [response.headers['warning'] ?? []].flat();
    return {
      status: response.statusCode,
      object: (await response.body.json()) as Live,
      warnings: warnings.map((line) => /^299 \S+ "(.*)"$/.exec(line)?.[1]?.replaceAll('\\"', '"') ?? line),
    };
  }

  /** Creates an object; throws what the API server says. */
  async create(path: string, object: object, query = ''): Promise<Live> {
    const { status, object: answer } = await this.say('POST', `${path}${query}`, object);
    if (status >= 300) throw new Error(`${status} ${answer.message}`);
    return answer;
  }

  /** Waits until the API server calls what is registered for a namespace: until `image` is no longer what it was. */
  async untilCalled(namespace: string, image: string): Promise<void> {
    await eventually(async () => {
      const made = await this.create(podsOf(namespace), podOf('probe', { a: image }), '?dryRun=All');
      if (made.spec.containers[0].image === image) throw new Error(`${image} stays in ${namespace}`);
    });
  }

  lastWords(): string {
    return this.#webhooks.map((each) => each.log().slice(-3_000)).join('\n---\n');
  }

  async end(): Promise<void> {
    await Promise.all(this.#webhooks.filter((each) => each.running()).map((each) => each.kill()));
    await this.#agent.destroy();
    await this.plane.stop();
    await removeFolder(this.folder);
  }
}

function rule(group: string, resources: readonly string[], operations: readonly string[]) {
  return { operations, apiGroups: [group], apiVersions: ['v1'], resources, scope: 'Namespaced' };
}

export const imagesOf = ({ spec }: Live): string[] => spec.containers.map(({ image }: Live) => image);

export const podsOf = (namespace: string) => `/api/v1/namespaces/${namespace}/pods`;

/** A pod with these containers, by name. */
export function podOf(
  name: string,
  images: Record<string, string>,
  spec: object = {},
  metadata: object = {},
) {
  const containers = Object.entries(images).map(([each, image]) => ({ name: each, image }));
  return { apiVersion: 'v1', kind: 'Pod', metadata: { name, ...metadata }, spec: { containers, ...spec } };
}

/** Starts a world; whoever starts it ends it. */
export async function startWebhookWorld(options: ControlPlaneOptions = {}): Promise<WebhookWorld> {
  const plane = await startControlPlane(options);
  try {
    for (const crd of ['registrymirrors.k8s.osp.tech', 'imagemaps.mapper.imagerelocation.pivotal.io'])
      await plane.applyCrd(`crds/${crd}.yaml`);
    await plane.applyFile('deploy/components/webhook/rbac.yaml');
    const account = { namespace: 'default', name: 'registry-rewrite-webhook' };
    const access = await plane.podAccess(await plane.tokenFor(account));
    const authority = await createAuthority({ commonName: 'webhook test', days: 2 });
    const folder = await mkdtemp(join(tmpdir(), 'webhook-'));
    const ca = await readFile(plane.caFile, 'utf8');
    return new WebhookWorld({ plane, folder, authority, access, ca });
  } catch (error) {
    await plane.stop();
    throw error;
  }
}
