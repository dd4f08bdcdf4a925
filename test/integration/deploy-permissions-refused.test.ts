/**
 * What is refused with the roles of deploy/: Secrets of others to every account, and what a process needs where a single right was taken from it, which
 * is seen from outside. That no right is too much is the matter of `deploy-permissions.test.ts`.
 */
import assert from 'node:assert/strict';
import test from 'ava';
import type { KubeObject } from '../kubernetes/api-request.ts';
import { startCommand } from '../support/command.ts';
import { eventually } from '../support/eventually.ts';
import { kustomizeBuild } from '../support/kustomize.ts';
import { type Live, pathsOf } from '../support/operator-world.ts';
import { rightsOf, withoutRight } from '../support/permissions/grants.ts';
import { deploymentVariables } from '../support/permissions/manifests.ts';
import { imageswapMap } from '../support/permissions/objects.ts';
import { operator, PermissionWorld } from '../support/permissions/permission-world.ts';
import { startedWebhook } from '../support/permissions/started-webhook.ts';

const timeout = 60_000;
const core = '/api/v1/namespaces/default';
const agents = '/apis/apps/v1/namespaces/default/daemonsets/registry-mirror-nodes';
const certificate = '/apis/cert-manager.io/v1/namespaces/default/certificates/registry-rewrite-webhook';

let rights: PermissionWorld;

test.before(async () => {
  rights = await PermissionWorld.start();
});
test.after.always(() => rights?.end());

test.serial('what is made is not made without the right to it, and the mirror says so', async (t) => {
  const right = 'Role registry-mirror-operator: create apps/statefulsets';
  await rights.use(withoutRight(await kustomizeBuild(['hostess']), right));
  await rights.running(
    t,
    operator,
    deploymentVariables(await kustomizeBuild(['hostess']), operator),
    async () => {
      await mirror({ upstreamUrl: 'quay.io' });
      const { message } = await rights.world.condition('hub', 'Ready', 'ObjectForbidden');
      t.regex(message, /statefulsets/i);
      t.is(await rights.world.find(pathsOf('hub').statefulSet), undefined);
      await rights.world.delete(pathsOf('hub').mirror);
      await rights.gone(pathsOf('hub').mirror);
    },
  );
});

test.serial(
  'without the rights to budgets mirrors work as with the roles of an earlier release',
  async (t) => {
    const objects = await kustomizeBuild(['hostess']);
    const budgets = rightsOf(objects).filter((right) => right.includes(' policy/poddisruptionbudgets'));
    t.is(budgets.length, 5);
    await rights.use(budgets.reduce(withoutRight, objects));
    await rights.running(t, operator, deploymentVariables(objects, operator), async (process) => {
      await mirror({ upstreamUrl: 'quay.io' });
      await rights.there(pathsOf('hub').statefulSet);
      await rights.there(agents);
      await rights.world.condition('hub', 'Stalled', 'Working');
      await mirror({ upstreamUrl: 'quay.io', replicas: 1 });
      await rights.world.settled('hub');
      t.is(await rights.world.find(pathsOf('hub').disruptionBudget), undefined);
      t.is(process.log().match(/Not allowed to limit evictions/g)?.length, 1);
      t.notRegex(process.log(), /Could not reconcile/);
      await rights.world.delete(pathsOf('hub').mirror);
      await rights.gone(pathsOf('hub').mirror);
    });
  },
);

test.serial(
  'what it makes pods of is read from its own pod, and without the right to that it waits',
  async (t) => {
    const digest = `sha256:${'a'.repeat(64)}`;
    const image = `registry.example/mirrors/operator@${digest}`;
    const objects = await kustomizeBuild(['hostess'], {
      images: [{ name: operator, newName: 'registry.example/mirrors/operator', digest }],
    });
    await rights.use(withoutRight(objects, 'Role registry-mirror-operator: list pods'));
    const own = await podOf(objects, operator);
    const environment = {
      ...deploymentVariables(objects, operator),
      OPERATOR_IMAGE: '',
      POD_NAME: own.metadata.name,
    };
    await mirror({ upstreamUrl: 'quay.io' });
    await rights.running(t, operator, environment, async (process) => {
      await eventually(() => assert.match(process.log(), /OPERATOR_IMAGE is not set.*\n/), { timeout });
      t.regex(process.log(), /pods.* is forbidden/);
      t.is(await rights.world.find(pathsOf('hub').statefulSet), undefined);
      await rights.use(objects);
      for (const path of [pathsOf('hub').statefulSet, agents]) {
        const { containers } = (await rights.there(path)).spec.template.spec;
        for (const container of containers) t.is(container.image, image, `${path} ${container.name}`);
      }
      await rights.world.delete(pathsOf('hub').mirror);
      await rights.gone(pathsOf('hub').mirror);
    });
  },
);

test.serial('the map is not put right without the right to it, and the probe says so', async (t) => {
  const right = 'Role registry-mirror-operator-imageswap-map: patch configmaps imageswap-maps';
  await rights.use(withoutRight(await kustomizeBuild(['services']), right));
  const environment = deploymentVariables(await kustomizeBuild(['services']), operator);
  await mirror({ upstreamUrl: 'quay.io' });
  const map = `${core}/configmaps/imageswap-maps`;
  await imageswapMap(rights.world, 'mine');
  await rights.running(t, operator, environment, async () => {
    await rights.there(pathsOf('hub').statefulSet);
    const access = await rights.podAccess(operator);
    const probe = await startCommand(t, ['--map-check'], environment, access).ended;
    t.not(probe.code, 0);
    t.is((await rights.get(map)).data.maps, 'mine');
    await rights.world.delete(pathsOf('hub').mirror);
    await rights.gone(pathsOf('hub').mirror);
  });
});

test.serial(
  'pods of mirrors have no token, and no account may read another namespace’s Secret',
  async (t) => {
    const components = ['services', 'rewriting', 'webhook', 'foreign-hostess', 'cert-manager'];
    await rights.use(await kustomizeBuild(components));
    await mirror({ upstreamUrl: 'quay.io' });
    const environment = deploymentVariables(await kustomizeBuild(['hostess']), operator);
    const pods = await rights.running(t, operator, environment, async () => [
      (await rights.there(pathsOf('hub').statefulSet)).spec.template.spec,
      (await rights.there(agents)).spec.template.spec,
    ]);
    t.deepEqual(
      pods.map(({ serviceAccountName = 'default' }) => serviceAccountName),
      ['default', 'mirror-hostess'],
    );
    for (const { automountServiceAccountToken, volumes } of pods) {
      t.false(automountServiceAccountToken);
      t.notRegex(JSON.stringify(volumes), /serviceAccountToken/);
    }
    const all = [
      '/api/v1/namespaces/team/secrets/foreign',
      '/api/v1/namespaces/team/secrets',
      '/api/v1/secrets',
    ];
    const own = [`${core}/secrets/registry-mirror-ca`, `${core}/secrets`];
    for (const path of all) await rights.refuses(operator, path);
    for (const account of ['registry-rewrite-webhook', 'mirror-hostess', 'default'])
      for (const path of [...all, ...own]) await rights.refuses(account, path);
  },
);

test.serial('the webhook’s certificate is not asked for without the right to make it', async (t) => {
  const components = ['rewriting', 'webhook', 'cert-manager'];
  const right =
    'Role registry-mirror-rewriting: create cert-manager.io/certificates registry-rewrite-webhook';
  await rights.use(withoutRight(await kustomizeBuild(components), right));
  const environment = {
    ...deploymentVariables(await kustomizeBuild(components), operator),
    WEBHOOK_CERTIFICATE: 'cert-manager',
  };
  await rights.running(t, operator, environment, async (process) => {
    await eventually(() => assert.match(process.log(), /certificates.* is forbidden/), { timeout });
    t.is(await rights.world.find(certificate), undefined);
    // It is tried again, and needs no start for it.
    await rights.use(await kustomizeBuild(components));
    await rights.there(certificate);
  });
});

test.serial('the webhook is not ready without the right to list what its rules are made from', async (t) => {
  const components = ['rewriting', 'webhook'];
  const right = 'Role registry-rewrite-webhook: list configmaps imageswap-maps';
  const objects = await kustomizeBuild(components);
  await rights.use(withoutRight(objects, right));
  const { webhook } = await startedWebhook(t, rights, objects);
  await eventually(() => assert.match(webhook.log(), /configmaps.* is forbidden/), { timeout });
  t.false(await webhook.isReady());
  await rights.use(objects);
  await webhook.untilReady();
  await webhook.stop();
});

/** A pod as a Deployment's controller makes them, among others. */
async function podOf(objects: readonly KubeObject[], deployment: string): Promise<Live> {
  const { spec } = objects.find(
    ({ kind, metadata }) => kind === 'Deployment' && metadata.name === deployment,
  ) as Live;
  const [container] = spec.template.spec.containers;
  const pod = (name: string, image: string) =>
    rights.plane.apply({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, namespace: 'default', labels: spec.template.metadata.labels },
      spec: { ...spec.template.spec, containers: [{ ...container, image }] },
    } as Live);
  await pod(`${deployment}-0`, 'another:1');
  return pod(`${deployment}-1`, container.image);
}

function mirror(spec: Record<string, unknown>): Promise<Live> {
  return rights.world.mirror('hub', spec);
}
