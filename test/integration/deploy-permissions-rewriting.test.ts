/**
 * The roles of deploy/ that are about rewriting, of the operator and of the webhook: as `deploy-permissions.test.ts` does it for all others, where its
 * head says how.
 */
import assert from 'node:assert/strict';
import test from 'ava';
import { createAgent, type KubeObject, sendRequest } from '../kubernetes/api-request.ts';
import { policyVersion } from '../kubernetes/policy-version.ts';
import { eventually } from '../support/eventually.ts';
import { kustomizeBuild } from '../support/kustomize.ts';
import type { Live } from '../support/operator-world.ts';
import { deploymentVariables, shippedRights } from '../support/permissions/manifests.ts';
import { imageMap, imageMapPath, imageswapMap } from '../support/permissions/objects.ts';
import { operator, PermissionWorld } from '../support/permissions/permission-world.ts';
import { startedWebhook } from '../support/permissions/started-webhook.ts';
import { pod, reviewOf } from '../support/reviews.ts';
import type { WebhookProcess } from '../support/webhook-process.ts';

const timeout = 60_000;
const core = '/api/v1/namespaces/default';
const admission = '/apis/admissionregistration.k8s.io/v1';
const policies = `/apis/admissionregistration.k8s.io/${policyVersion}`;
const certificate = '/apis/cert-manager.io/v1/namespaces/default/certificates/registry-rewrite-webhook';
const elsewhere = 'imageswap-system';

let rights: PermissionWorld;

test.before(async () => {
  rights = await PermissionWorld.start();
});
test.after.always(() => rights?.end());

test.serial(
  'webhook: announced with either certificate and withdrawn; ImageMaps have a status',
  async (t) => {
    const environment = await use(['rewriting', 'webhook']);
    const configuration = `${admission}/mutatingwebhookconfigurations/registry-rewrite-webhook`;
    const service = webhookService(await kustomizeBuild(['rewriting', 'webhook']));
    await rights.plane.apply(service);
    await imageMap(rights.world, { finalizers: ['mapper.imagerelocation.pivotal.io'] });
    await rights.running(t, operator, environment, async () => {
      await rights.there(configuration);
      await eventually(
        async () => {
          const { status, metadata } = await rights.get(imageMapPath);
          assert.ok(status?.conditions?.length > 0);
          assert.equal(metadata.finalizers, undefined);
        },
        { timeout },
      );
      await rights.plane.apply({
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { name: 'imageswap-maps', namespace: 'default' },
        data: { maps: 'nonsense' },
      } as Live);
      await eventually(
        async () => {
          const { items } = await rights.get(`${core}/events`);
          assert.ok(items.some(({ reason }: Live) => reason === 'MapFault'));
        },
        { timeout },
      );
      await rights.world.patch(configuration, [
        { op: 'replace', path: '/webhooks/0/failurePolicy', value: 'Fail' },
      ]);
      await eventually(
        async () => assert.equal((await rights.get(configuration)).webhooks[0].failurePolicy, 'Ignore'),
        { timeout },
      );
    });
    await rights.world.delete(`${core}/services/${service.metadata.name}`);
    await rights.running(t, operator, { ...environment, WEBHOOK_CERTIFICATE: 'cert-manager' }, async () => {
      await rights.gone(configuration);
      await rights.there(certificate);
    });
    await rights.plane.apply(issuedSecret() as Live);
    await rights.running(t, operator, environment, async () => rights.gone(certificate));
    await rights.settle(t);
  },
);

test.serial('policy: made, kept, and given up for the webhook', async (t) => {
  const environment = { ...(await use(['rewriting', 'policy'])), GILLY_REGISTRY: 'my.repo' };
  const policy = `${policies}/mutatingadmissionpolicies/registry-mirror-rewrite`;
  const bindings = `${policies}/mutatingadmissionpolicybindings`;
  const rules = '/apis/k8s.osp.tech/v1alpha1/namespaces/team/rewriterules/registry-mirror-rewrite';
  await imageMap(rights.world);
  await imageswapMap(rights.world, 'quay.io::swap.local');
  await rights.running(t, operator, environment, async () => {
    await rights.there(policy);
    for (const name of ['namespaces', 'all', 'labelled'])
      await rights.there(`${bindings}/registry-mirror-rewrite-${name}`);
    await eventually(async () => assert.ok((await rights.get(rules)).status?.conditions), { timeout });
    await rights.world.patch(policy, { spec: { failurePolicy: 'Fail' } });
    await rights.world.delete(`${bindings}/registry-mirror-rewrite-all`).catch(() => undefined);
    await eventually(async () => assert.equal((await rights.get(policy)).spec.failurePolicy, 'Ignore'), {
      timeout,
    });
    await rights.world.delete(imageMapPath);
    await rights.gone(rules);
  });
  await rights.running(t, operator, { ...environment, REWRITE_ENGINE: 'webhook' }, async () => {
    await rights.gone(policy);
    await eventually(async () => assert.deepEqual((await rights.get(bindings)).items, []), { timeout });
  });
  await rights.settle(t);
});

test.serial(
  'imageswap elsewhere: operator and webhook read its map there, and no other ConfigMap',
  async (t) => {
    const objects = await kustomizeBuild(['rewriting', 'webhook', 'policy', 'imageswap-namespace']);
    await rights.use(objects);
    await imageswapMap(rights.world, 'default::\nquay.io::swap.local', elsewhere);
    const labels = { 'k8s.twr.io/imageswap': 'enabled' };
    await rights.world.patch('/api/v1/namespaces/team', { metadata: { labels } });
    const map = `/api/v1/namespaces/${elsewhere}/configmaps/imageswap-maps`;
    await rights.running(t, operator, deploymentVariables(objects, operator), async () => {
      const policy = `${policies}/mutatingadmissionpolicies/registry-mirror-rewrite`;
      await rights.there(policy);
      await rights.world.patch(map, { data: { maps: 'default::\nquay.io::swap.local\nnonsense' } });
      await eventually(
        async () => {
          const { items } = await rights.get(`/api/v1/namespaces/${elsewhere}/events`);
          assert.ok(items.some(({ reason }: Live) => reason === 'MapFault'));
        },
        { timeout },
      );
    });
    const { webhook, ca } = await startedWebhook(t, rights, objects);
    await webhook.untilReady();
    const { response } = await review(webhook, ca, 'team', 'quay.io/org/app:1');
    t.regex(Buffer.from(response.patch, 'base64').toString(), /swap\.local/);
    await webhook.stop();
    await rights.settle(t);
    for (const account of [operator, 'registry-rewrite-webhook'])
      await rights.refuses(account, `/api/v1/namespaces/${elsewhere}/configmaps`);
  },
);

for (const components of [
  ['rewriting', 'webhook'],
  ['services', 'rewriting', 'webhook'],
]) {
  test.serial(`the webhook’s process, with ${components.join(', ')}`, async (t) => {
    const objects = await kustomizeBuild(components);
    await rights.use(objects);
    const { webhook, ca } = await startedWebhook(t, rights, objects);
    await webhook.untilReady();
    // A namespace that its watch has not shown yet.
    await review(webhook, ca, 'nowhere');
    await webhook.stop();
    await rights.settle(t);
  });
}

test.serial('no shipped right is without use', async (t) => {
  const shipped = [...(await shippedRights())].filter((right) =>
    /^\w+ registry-(mirror-)?rewrit/.test(right),
  );
  t.log(`${shipped.length} rights`);
  t.deepEqual(
    shipped.filter((right) => !rights.needed.has(right)),
    [],
  );
});

/** Makes the components' roles the only ones; returns the operator's variables. */
/** As cert-manager leaves it. */
function issuedSecret(): Live {
  const name = 'registry-rewrite-webhook-tls';
  const stringData = { 'tls.crt': 'of somebody else', 'tls.key': 'of somebody else' };
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name, namespace: 'default' },
    type: 'kubernetes.io/tls',
    stringData,
  } as Live;
}

async function use(components: readonly string[]): Promise<Record<string, string>> {
  const objects = await kustomizeBuild(components);
  await rights.use(objects);
  return deploymentVariables(objects, operator);
}

function webhookService(objects: readonly KubeObject[]): KubeObject {
  return objects.find(({ kind }) => kind === 'Service') as KubeObject;
}

/** Has the webhook answer a review of a pod in a namespace. */
async function review(
  webhook: WebhookProcess,
  ca: string,
  namespace: string,
  image = 'nginx',
): Promise<Live> {
  const body = reviewOf(pod({ app: image }), { namespace });
  const agent = createAgent(ca);
  const url = `https://127.0.0.1:${webhook.port}/rewrite`;
  const answer = await sendRequest(agent, url, { method: 'POST', body });
  await agent.destroy();
  return answer;
}
