/** A real API server, the policy as our operator makes it, and our webhook as a process; who rewrites can be changed. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Problems } from '../../src/config/problems.ts';
import { readRewriteSettings } from '../../src/config/rewrite-environment.ts';
import { readWebhookSettings } from '../../src/config/webhook-announcement.ts';
import { webhookConfiguration } from '../../src/resources/webhook.ts';
import type { KubeObject } from '../../test/kubernetes/api-request.ts';
import { freePorts } from '../../test/kubernetes/free-ports.ts';
import { makeAuthority, makeLeaf } from '../../test/support/certificates.ts';
import { type ControlPlane, startControlPlane } from '../../test/support/control-plane.ts';
import { eventually } from '../../test/support/eventually.ts';
import type { ClusterContender } from './cluster-figures.ts';
import { namespace, pod, registries } from './pod-review.ts';
import { end, executable, launch, listening, pidOf } from './servers.ts';

type Engine = ClusterContender['engine'];

export const podsPath = `/api/v1/namespaces/${namespace}/pods`;
/** Images that a rule has made begin with it. */
export const rewrittenPrefix = 'mirror.example/hub/';
const admission = '/apis/admissionregistration.k8s.io/v1';
const bindings = `${admission}/mutatingadmissionpolicybindings`;
const configurations = `${admission}/mutatingwebhookconfigurations`;

export class ClusterWorld {
  readonly #plane: ControlPlane;
  readonly #started: AsyncDisposableStack;
  readonly #bindings: readonly KubeObject[];
  readonly #configuration: KubeObject;
  readonly webhookPid: number;

  static async start(folder: string): Promise<ClusterWorld> {
    await using started = new AsyncDisposableStack();
    const plane = await startControlPlane({ apiServerFlags: ['--audit-log-mode=batch'] });
    started.defer(() => plane.stop());
    await install(plane);
    const bound = await makePolicy(plane, folder);
    const [port = 0] = await freePorts(1);
    const authority = await makeAuthority(folder);
    const leaf = await makeLeaf(authority, ['127.0.0.1']);
    const webhook = launch(
      executable,
      ['webhook'],
      {
        KUBECONFIG: plane.kubeconfigPath,
        WEBHOOK_PORT: String(port),
        WEBHOOK_CERTIFICATE_DIR: await pairFolder(folder, leaf),
        HTTP_PORT: '0',
      },
      join(folder, 'cluster-webhook.log'),
    );
    started.defer(() => end(webhook));
    await listening(port);
    const configuration = announcement(port, authority.certificatePem);
    return new ClusterWorld(plane, started.move(), bound, configuration, pidOf(webhook));
  }

  private constructor(
    plane: ControlPlane,
    started: AsyncDisposableStack,
    bound: readonly KubeObject[],
    configuration: KubeObject,
    webhookPid: number,
  ) {
    this.#plane = plane;
    this.#started = started;
    this.#bindings = bound;
    this.#configuration = configuration;
    this.webhookPid = webhookPid;
  }

  get port(): number {
    return Number(new URL(this.#plane.url).port);
  }

  get token(): string {
    return this.#plane.adminToken;
  }

  get caFile(): string {
    return this.#plane.caFile;
  }

  get apiServerPid(): number {
    return this.#plane.pidOf('apiserver');
  }

  /** Resolves when the API server has been seen to do it. */
  async rewriteBy(engine: Engine): Promise<void> {
    await this.#have(bindings, this.#bindings, engine === 'policy');
    await this.#have(configurations, [this.#configuration], engine === 'webhook');
    await eventually(() => assertRewrites(this.#plane, engine !== 'nothing'), { timeout: 30_000 });
  }

  async #have(path: string, objects: readonly KubeObject[], wanted: boolean): Promise<void> {
    for (const object of objects)
      if (wanted) await this.#plane.apply(object);
      else
        await this.#plane
          .adminFetch(`${path}/${object.metadata.name}`, { method: 'DELETE' })
          .catch((error: { code?: number }) => {
            if (error.code !== 404) throw error;
          });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#started.disposeAsync();
  }
}

/** Our kinds, a namespace with imageswap's label, an account for the pods, and a map. */
async function install(plane: ControlPlane): Promise<void> {
  for (const kind of ['registrymirrors.k8s.osp.tech', 'rewriterules.k8s.osp.tech'])
    await plane.applyCrd(`crds/${kind}.yaml`);
  await plane.applyCrd('crds/imagemaps.mapper.imagerelocation.pivotal.io.yaml');
  const labels = { 'k8s.twr.io/imageswap': 'enabled' };
  await plane.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace, labels } });
  await plane.apply({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'shop', namespace } });
  await plane.apply({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'imageswap-maps', namespace: 'default' },
    data: { maps: `default::\n${registries.rewritten}::${rewrittenPrefix}\nghcr.io::mirror.example/gh\n` },
  });
}

/** Has the operator make the policy, and lets it stand without the operator; returns the bindings. */
async function makePolicy(plane: ControlPlane, folder: string): Promise<KubeObject[]> {
  const environment = { KUBECONFIG: plane.kubeconfigPath, REWRITE_ENGINE: 'policy', HTTP_PORT: '0' };
  const operator = launch(
    executable,
    [],
    { ...environment, OPERATOR_IMAGE: 'registry.example/operator:1' },
    join(folder, 'operator.log'),
  );
  try {
    await eventually(() => assertRewrites(plane, true), { timeout: 60_000 });
  } finally {
    await end(operator);
  }
  const { items } = await plane.adminFetch<{ items: KubeObject[] }>(bindings);
  return items.map(({ metadata: { name, ...metadata }, ...object }) => ({
    ...object,
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'MutatingAdmissionPolicyBinding',
    metadata: { name, labels: metadata['labels'] },
  })) as KubeObject[];
}

/** Several times: the API server's parts do not follow a change at the same moment. */
async function assertRewrites(plane: ControlPlane, wanted: boolean): Promise<void> {
  for (let look = 0; look < 5; look += 1) {
    const { status: _, ...body } = pod(registries.rewritten, '');
    const created = await plane.adminFetch(`${podsPath}?dryRun=All`, { method: 'POST', body });
    const isRewritten = JSON.stringify(created).includes(`"${rewrittenPrefix}`);
    if (isRewritten !== wanted) throw new Error(`Expected rewritten: ${wanted}, got ${isRewritten}`);
  }
}

async function pairFolder(
  folder: string,
  { certificatePem, keyPem }: { certificatePem: string; keyPem: string },
): Promise<string> {
  const path = join(folder, 'cluster-pair');
  await mkdir(path);
  await writeFile(join(path, 'tls.crt'), certificatePem);
  await writeFile(join(path, 'tls.key'), keyPem, { mode: 0o600 });
  return path;
}

/** As our operator announces it, but by address, since there is no network of Services here, and told at once when it fails. */
function announcement(port: number, authorities: string): KubeObject {
  const problems = new Problems();
  const configuration = webhookConfiguration({
    settings: { ...readWebhookSettings({}, problems), failurePolicy: 'Fail' },
    rewrite: readRewriteSettings({}, problems),
    authorities,
    namespaces: 'all',
    owner: [],
  }) as unknown as KubeObject & { webhooks: { clientConfig: { caBundle: string } }[] };
  const webhooks = configuration.webhooks.map(({ clientConfig: { caBundle }, ...webhook }) => ({
    ...webhook,
    clientConfig: { url: `https://127.0.0.1:${port}/rewrite`, caBundle },
  }));
  return { ...configuration, webhooks } as KubeObject;
}
