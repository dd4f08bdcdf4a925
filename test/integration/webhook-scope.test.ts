/** The webhook behind a real API server: workloads and their pods, the paths of the older systems, and rules that change. */
import test from 'ava';
import { eventually } from '../support/eventually.ts';
import type { Live } from '../support/operator-world.ts';
import type { WebhookProcess } from '../support/webhook-process.ts';
import { enabled, mirrorIp, webhookOfAllSources } from '../support/webhook-sources.ts';
import { imagesOf, podsOf, startWebhookWorld, type WebhookWorld } from '../support/webhook-world.ts';

let world: WebhookWorld;
/** With the map of the ConfigMap. */
let following: WebhookProcess;

test.before(async () => {
  world = await startWebhookWorld({ enableControllerManager: true });
  for (const name of ['gilly', 'mapper', 'swap', 'follow', 'plain']) await world.namespace(name);
  await world.imageMap('mapper', { nginx: 'map.local/nginx:1' });
  const [webhook, other] = await Promise.all([webhookOfAllSources(world), world.webhook()]);
  following = other;
  await world.register([
    { name: 'all', port: webhook.port, path: '/rewrite' },
    { name: 'gilly', port: webhook.port, path: '/mutate', namespaces: ['gilly'], versions: ['v1beta1'] },
    { name: 'mapper', port: webhook.port, path: '/image-mapper', namespaces: ['mapper'] },
    { name: 'swap', port: webhook.port, path: '/', namespaces: ['swap'] },
    { name: 'follow', port: following.port, path: '/', namespaces: ['follow'] },
  ]);
  await world.untilCalled('team', 'ghcr.io/probe');
});
test.afterEach.always((t) => {
  if (!t.passed) t.log(world.lastWords());
});
test.after.always(() => world?.end());

test.serial(
  'an alias has the scope of the system whose path it is, and gilly’s version of reviews is understood',
  async (t) => {
    const images = { a: 'nginx', b: 'ghcr.io/x/y', c: 'gcr.io/x' };
    t.deepEqual(await world.imagesIn('gilly', images), [
      'gilly.local/nginx',
      'gilly.local/x/y',
      'gilly.local/x',
    ]);
    t.deepEqual(await world.imagesIn('mapper', images), ['map.local/nginx:1', 'ghcr.io/x/y', 'gcr.io/x']);
    t.deepEqual(await world.imagesIn('swap', images), ['nginx', 'swap.local/x/y', 'gcr.io/x']);
    t.deepEqual(await world.imagesIn('plain', images), [
      'gilly.local/nginx',
      'gilly.local/x/y',
      'gilly.local/x',
    ]);
  },
);

const withTemplate = (kind: string, apiVersion: string, spec: (template: object) => object) => ({
  apiVersion,
  kind,
  metadata: { name: `w-${kind.toLowerCase()}` },
  spec: spec({
    metadata: { labels: { app: kind } },
    spec: {
      containers: [
        { name: 'a', image: 'ghcr.io/a' },
        { name: 'm', image: 'hub.example/m' },
      ],
    },
  }),
});
const restarting = (template: Live, restartPolicy: string) => ({
  ...template,
  spec: { ...template.spec, restartPolicy },
});
const selected = (kind: string) => ({ selector: { matchLabels: { app: kind } } });

/** Kind, plural, API, how its template stands in its spec. */
const workloads: readonly [string, string, string, (template: object) => object][] = [
  [
    'Deployment',
    'deployments',
    'apps/v1',
    (template) => ({ ...selected('Deployment'), replicas: 1, template }),
  ],
  ['DaemonSet', 'daemonsets', 'apps/v1', (template) => ({ ...selected('DaemonSet'), template })],
  ['StatefulSet', 'statefulsets', 'apps/v1', (template) => ({ ...selected('StatefulSet'), template })],
  [
    'ReplicaSet',
    'replicasets',
    'apps/v1',
    (template) => ({ ...selected('ReplicaSet'), replicas: 0, template }),
  ],
  ['Job', 'jobs', 'batch/v1', (template) => ({ suspend: true, template: restarting(template, 'Never') })],
  [
    'CronJob',
    'cronjobs',
    'batch/v1',
    (template) => ({
      schedule: '0 0 1 1 *',
      jobTemplate: { spec: { template: restarting(template, 'Never') } },
    }),
  ],
  [
    'ReplicationController',
    'replicationcontrollers',
    'v1',
    (template) => ({ selector: { app: 'ReplicationController' }, replicas: 0, template }),
  ],
];

for (const [kind, plural, apiVersion, spec] of workloads) {
  test.serial(`a ${kind}’s template is rewritten, except for what mirrors are for`, async (t) => {
    const root = apiVersion === 'v1' ? '/api/v1' : `/apis/${apiVersion}`;
    const made = await world.create(
      `${root}/namespaces/team/${plural}`,
      withTemplate(kind, apiVersion, spec),
    );
    const template = made.spec.jobTemplate?.spec.template ?? made.spec.template;
    t.deepEqual(imagesOf(template), ['swap.local/a', 'hub.example/m']);
    t.deepEqual(template.metadata.annotations, { 'original-image.k8s.osp.tech/a': 'ghcr.io/a' });
  });
}

test.serial(
  'the pods of a Deployment, which have no name yet, get what its template could not',
  async (t) => {
    const pod = await eventually(async () => {
      const { items } = await world.plane.adminFetch<Live>(`${podsOf('team')}?labelSelector=app=Deployment`);
      if (items.length === 0) throw new Error('no pod yet');
      return items[0];
    });
    t.deepEqual(imagesOf(pod), ['swap.local/a', `${mirrorIp}/hub.example/m`]);
    t.deepEqual(pod.metadata.annotations, {
      'original-image.k8s.osp.tech/a': 'ghcr.io/a',
      'original-image.k8s.osp.tech/m': 'hub.example/m',
    });
  },
);

test.serial(
  'a Deployment whose template stays as it is has one ReplicaSet, and its pods are rewritten',
  async (t) => {
    const root = '/apis/apps/v1/namespaces/team';
    const made = withTemplate('Staying', 'apps/v1', (template) => ({
      ...selected('Staying'),
      replicas: 1,
      template,
    }));
    // As with images that are older than the rules: the template of its ReplicaSet comes to the webhook alone.
    const labels = { 'k8s.twr.io/imageswap': 'disabled' };
    const deployment = { ...made, kind: 'Deployment', metadata: { ...made.metadata, labels } };
    await world.create(`${root}/deployments`, deployment);
    await eventually(async () => {
      const { status } = await world.plane.adminFetch<Live>(`${root}/deployments/w-staying`);
      if (status?.updatedReplicas !== 1) throw new Error(JSON.stringify(status));
    });
    const listed = (path: string) => world.plane.adminFetch<Live>(`${path}?labelSelector=app=Staying`);
    t.is((await listed(`${root}/replicasets`)).items.length, 1);
    const { items } = await listed(podsOf('team'));
    t.is(imagesOf(items[0])[0], 'swap.local/a');
  },
);

test.serial(
  'pull secrets of the service account keep mirrors’ rules from a pod, and gilly’s then apply',
  async (t) => {
    await world.namespace('secretive');
    const account = '/api/v1/namespaces/secretive/serviceaccounts/default';
    await eventually(() => world.plane.adminFetch(account));
    t.deepEqual(await world.imagesIn('secretive', { a: 'hub.example/x' }), [`${mirrorIp}/hub.example/x`]);
    const contentType = 'application/merge-patch+json';
    await world.plane.adminFetch(account, {
      method: 'PATCH',
      contentType,
      body: { imagePullSecrets: [{ name: 'mine' }] },
    });
    await eventually(async () => {
      const images = await world.imagesIn('secretive', { a: 'hub.example/x' });
      if (images[0] !== 'gilly.local/x') throw new Error(String(images));
    });
    t.pass();
  },
);

test.serial('a pod may come right after its namespace', async (t) => {
  for (let index = 0; index < 10; index += 1) {
    const name = `fresh-${index}`;
    await world.create('/api/v1/namespaces', {
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name, labels: enabled },
    });
    // Without a service account there is no pod; of the objects with a template a ReplicaSet needs none.
    const made = await world.create(
      `/apis/apps/v1/namespaces/${name}/replicasets`,
      withTemplate('ReplicaSet', 'apps/v1', (template) => ({
        ...selected('ReplicaSet'),
        replicas: 0,
        template,
      })),
      '?dryRun=All',
    );
    t.is(imagesOf(made.spec.template)[0], 'swap.local/a');
  }
});

const put = (text: string) =>
  world.plane.apply({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'imageswap-maps', namespace: 'default' },
    data: { maps: text },
  } as Live);
const becomes = (expected: string) =>
  eventually(async () => {
    const images = await world.imagesIn('follow', { a: 'quay.io/a' });
    if (images[0] !== expected) throw new Error(String(images));
  });

test.serial(
  'the map of the ConfigMap is followed without a restart, and what is wrong in it told once',
  async (t) => {
    await becomes('quay.io/a');
    await put('default::\nquay.io::first.local');
    await becomes('first.local/a');
    await put('default::\nquay.io::second.local\nthis is wrong');
    await becomes('second.local/a');
    await eventually(async () => {
      if ((await following.metric('registry_mirror_webhook_map_faults')) !== 1) throw new Error('not told');
    });
    t.is(following.log().match(/line 3 of the imageswap map/g)?.length, 1);
  },
);

test.serial('a Job is applied again as it was, whatever the rules are by then', async (t) => {
  await put('default::\nquay.io::first.local');
  await becomes('first.local/a');
  const jobs = '/apis/batch/v1/namespaces/follow/jobs';
  const containers = [{ name: 'a', image: 'quay.io/a' }];
  const template = { spec: { containers, restartPolicy: 'Never' } };
  const made = await world.create(jobs, {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name: 'again' },
    spec: { template },
  });
  t.deepEqual(imagesOf(made.spec.template), ['first.local/a']);
  for (const [map, image] of [
    ['quay.io::second.local', 'second.local/a'],
    ['', 'quay.io/a'],
  ] as const) {
    await put(`default::\n${map}`);
    await becomes(image);
    const applied = await world.say(
      'PATCH',
      `${jobs}/again`,
      { spec: { template } },
      'application/strategic-merge-patch+json',
    );
    t.is(applied.status, 200, applied.object.message);
    const replacement = structuredClone(applied.object);
    replacement.spec.template.spec.containers[0].image = 'quay.io/a';
    delete replacement.spec.template.metadata.annotations;
    delete replacement.metadata.resourceVersion;
    const replaced = await world.say('PUT', `${jobs}/again`, replacement);
    t.is(replaced.status, 200, replaced.object.message);
    for (const { object } of [applied, replaced]) {
      t.deepEqual(imagesOf(object.spec.template), ['first.local/a']);
      t.deepEqual(object.spec.template.metadata.annotations, {
        'original-image.k8s.osp.tech/a': 'quay.io/a',
      });
    }
  }
});
