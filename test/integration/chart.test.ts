/** The Helm chart: the same objects as kustomize's, values that are checked, and a real API server that takes all of it. */

import assert from 'node:assert/strict';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { load } from 'js-yaml';
import type { KubeObject } from '../kubernetes/api-request.ts';
import { objectPath } from '../kubernetes/object-path.ts';
import { nested, otherValues } from '../support/chart-values.ts';
import { startControlPlane } from '../support/control-plane.ts';
import { chartFolder, helm, helmTemplate, withValues } from '../support/helm.ts';
import { kustomizeBuild } from '../support/kustomize.ts';
import type { Live } from '../support/operator-world.ts';
import { assertRestricted } from '../support/pod-security.ts';
import { nameOf, sortedObjects } from '../support/same-objects.ts';

const everything = {
  ...nested(otherValues),
  webhook: { env: {} },
  crds: { install: true },
  uninstall: { enabled: true },
};
const webhook = ['rewriting', 'webhook'];
/** Values and the components that are the same. */
const pairs: readonly (readonly [string, Record<string, unknown>, readonly string[]])[] = [
  ['defaults', {}, ['hostess']],
  ['services', { addressingScheme: 'services' }, ['services']],
  ['webhook', { 'rewriting.engine': 'webhook' }, webhook],
  ['policy alone', { 'rewriting.engine': 'policy', 'webhook.enabled': false }, ['rewriting', 'policy']],
  ['policy and webhook', { 'rewriting.engine': 'policy' }, [...webhook, 'policy']],
  [
    'all of it',
    {
      addressingScheme: 'services',
      'rewriting.engine': 'webhook',
      'certManager.createIssuer': true,
      'cacheUsers.createRoles': true,
      'networkPolicy.enabled': true,
      'monitoring.enabled': true,
    },
    ['services', ...webhook, 'cert-manager', 'cache-users', 'networkpolicy', 'monitoring'],
  ],
  [
    'imageswap elsewhere',
    { imageswapNamespace: 'imageswap-system', 'rewriting.engine': 'webhook' },
    [...webhook, 'imageswap-namespace'],
  ],
];

const plane = await startControlPlane();
test.after.always(() => plane.stop());
test.before(async () => {
  for (const crds of ['cert-manager', 'monitoring'])
    await plane.applyCrd(join(import.meta.dirname, `fixtures/${crds}-crds.yaml`));
  for (const name of ['mirrors', 'imageswap-system'])
    await plane.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
});

test('lint has nothing to say, with the defaults and with every value', async (t) => {
  for (const values of [{}, everything]) {
    const { code, stdout } = await withValues(values, (file) =>
      helm(['lint', '--strict', chartFolder, '--values', file]),
    );
    t.is(code, 0, stdout);
  }
});

for (const [name, values, components] of pairs) {
  test(`the objects of the chart are those of kustomize: ${name}`, async (t) => {
    const rendered = (await helmTemplate(nested(values))).filter((object) => !isOfUninstall(object));
    // That of component `namespace`, which would move all others.
    const [quota] = (await kustomizeBuild(['namespace'])).filter(({ kind }) => kind === 'ResourceQuota');
    assert.ok(quota);
    const metadata = { ...quota.metadata, namespace: 'default' };
    const built = [...(await kustomizeBuild(components)), { ...quota, metadata }];
    t.deepEqual(sortedObjects(rendered).map(withoutHelm), sortedObjects(built));
  });
}

test('the API server takes every object, strictly, with the defaults and with every value', async (t) => {
  for (const values of [{}, { rewriting: { engine: 'webhook' } }, everything]) {
    for (const object of await helmTemplate(values, 'mirrors'))
      await t.notThrowsAsync(dryRun(object), nameOf(object));
  }
});

test('everything is in the namespace of the release, but for imageswap’s map and what reads it', async (t) => {
  const objects = (await helmTemplate(everything, 'mirrors')) as Live[];
  const elsewhere = objects.filter(({ metadata }) => ![undefined, 'mirrors'].includes(metadata.namespace));
  t.deepEqual(elsewhere.map(nameOf).sort(), [
    'Role imageswap-system/registry-mirror-operator-imageswap-map',
    'Role imageswap-system/registry-mirror-rewriting-imageswap-map',
    'Role imageswap-system/registry-rewrite-webhook',
    'RoleBinding imageswap-system/registry-mirror-operator-imageswap-map',
    'RoleBinding imageswap-system/registry-mirror-rewriting-imageswap-map',
    'RoleBinding imageswap-system/registry-rewrite-webhook',
  ]);
  const subjects = objects.flatMap(({ subjects = [] }) => subjects.map(({ namespace }: Live) => namespace));
  t.deepEqual([...new Set(subjects)], ['mirrors']);
});

test('every pod, those of the hooks too, is admitted where Pod Security restricted is enforced', async (t) => {
  const objects = await helmTemplate({ rewriting: { engine: 'webhook' } });
  t.deepEqual(await assertRestricted(plane, objects), [
    'registry-mirror-operator',
    'registry-mirror-uninstall-leftovers',
    'registry-mirror-uninstall-mirrors',
    'registry-rewrite-webhook',
  ]);
});

test('every value has another one here, and every one of those changes what is rendered', async (t) => {
  const defaults = load(await readFile(join(chartFolder, 'values.yaml'), 'utf8')) as Record<string, unknown>;
  t.deepEqual(leaves(defaults, otherValues).sort(), Object.keys(otherValues).sort());
  const base = {
    'rewriting.engine': 'policy',
    'networkPolicy.enabled': true,
    'monitoring.enabled': true,
    'hostessImage.repository': 'x',
  };
  const before = JSON.stringify(await helmTemplate(nested(base)));
  const without: string[] = [];
  for (const [path, value] of Object.entries(otherValues)) {
    const values = ['networkPolicy.enabled', 'monitoring.enabled'].includes(path)
      ? { ...base, [path]: false }
      : { ...base, [path]: value };
    if (JSON.stringify(await helmTemplate(nested(values))) === before) without.push(path);
  }
  t.deepEqual(without, []);
});

test('every value is described, in the schema and above its default', async (t) => {
  const schema = JSON.parse(await readFile(join(chartFolder, 'values.schema.json'), 'utf8'));
  t.deepEqual(undescribed(schema, ''), []);
});

const wrong: readonly (readonly [object, RegExp])[] = [
  [{ replicas: 2 }, /replicas/],
  [{ operator: { replica: 2 } }, /operator.*replica/],
  [{ operator: { replicas: 'two' } }, /operator\/replicas.*integer/],
  [{ operator: { replicas: -1 } }, /operator\/replicas/],
  [{ addressingScheme: 'Hostess' }, /addressingScheme.*'hostess', 'services'/],
  [{ rewriting: { engine: 'yes' } }, /rewriting\/engine/],
  [{ image: { digest: 'abc' } }, /image\/digest/],
  [{ image: { repository: '' } }, /image\/repository/],
  [{ imagePullSecrets: ['regcred'] }, /imagePullSecrets\/0/],
  [{ imagePullSecrets: [{ nam: 'regcred' }] }, /imagePullSecrets\/0/],
  [
    { operator: { env: { ADDRESSING_SCHEME: 'services' } } },
    /operator\.env\.ADDRESSING_SCHEME.* set by addressingScheme/,
  ],
  [
    { operator: { env: { HTTP_PORT: 9090 } } },
    /operator\.env\.HTTP_PORT.* set by the port of the probes, 8080/,
  ],
  [{ rewriting: { engine: 'webhook', env: { HTTP_PORT: 0 } } }, /rewriting\.env\.HTTP_PORT.* the probes/],
  [{ webhook: { env: { WEBHOOK_PORT: 9443 } } }, /webhook\.env\.WEBHOOK_PORT.* the webhook's Service, 8443/],
  [{ operator: { env: { LOG_LEVEL: ['debug'] } } }, /operator\/env\/LOG_LEVEL/],
  [{ rewriting: { env: { 'gilly.registry': 'x' } } }, /rewriting\/env.*gilly\.registry/],
  [
    { operator: { podLabels: { 'app.kubernetes.io/name': 'x' } } },
    /operator\.podLabels.*app\.kubernetes\.io\/name/,
  ],
  [
    { labels: { 'app.kubernetes.io/name': 'x' } },
    /labels: .*app\.kubernetes\.io\/name, which is the chart's/,
  ],
  [{ labels: { 'app.kubernetes.io/managed-by': 'x' } }, /labels: .*app\.kubernetes\.io\/managed-by/],
  [{ operator: { resources: { request: {} } } }, /operator\/resources.*request/],
  [{ operator: { tolerations: [{ effect: 'NoExec' }] } }, /operator\/tolerations\/0\/effect/],
  [{ operator: { affinity: { nodeAfinity: {} } } }, /operator\/affinity.*nodeAfinity/],
  [{ uninstall: { timeout: '10' } }, /uninstall\/timeout/],
  [{ operator: { extraVolumes: [{ emptyDir: {} }] } }, /operator\/extraVolumes\/0.*name/],
  [{ webhook: { extraVolumeMounts: [{ name: 'x', path: '/x' }] } }, /webhook\/extraVolumeMounts\/0/],
  [{ webhook: { extraVolumes: [{ name: 'certificate' }] } }, /webhook\.extraVolumes.*certificate, which is/],
  [{ imageswapNamespace: 'Not A Name' }, /imageswapNamespace/],
];

for (const [values, message] of wrong) {
  test(`refused by its name: ${JSON.stringify(values)}`, async (t) => {
    await t.throwsAsync(helmTemplate(values), { message });
  });
}

test('the webhook mounts the certificate that the operator is told of', async (t) => {
  const mounted = async (values: object) => {
    const objects = (await helmTemplate({ rewriting: { engine: 'webhook', ...values } })) as Live[];
    return podOf(objects, 'registry-rewrite-webhook').spec.volumes[0].secret;
  };
  const own = { secretName: 'registry-rewrite-webhook-tls', optional: false };
  t.like(await mounted({}), own);
  t.like(await mounted({ env: { WEBHOOK_CERTIFICATE: 'cert-manager' } }), own);
  const given = { WEBHOOK_CERTIFICATE: 'secret', WEBHOOK_CERTIFICATE_SECRET: 'gilly-certs' };
  t.like(await mounted({ env: given }), { secretName: 'gilly-certs', optional: false });
  t.like(await mounted({ env: { WEBHOOK_CERTIFICATE: 'files' } }), { ...own, optional: true });
});

test('files that variables name are where volumes bring them', async (t) => {
  const maps = { name: 'maps', configMap: { name: 'maps' } };
  const files = { name: 'files', secret: { secretName: 'mine' } };
  const mount = (name: string) => ({ name, mountPath: `/${name}`, readOnly: true });
  const objects = (await helmTemplate({
    rewriting: {
      engine: 'webhook',
      env: {
        WEBHOOK_CERTIFICATE: 'files',
        WEBHOOK_CA_FILE: '/files/ca.crt',
        IMAGESWAP_MAPS_FILE: '/maps/maps',
      },
    },
    operator: { extraVolumes: [maps, files], extraVolumeMounts: [mount('maps'), mount('files')] },
    webhook: {
      extraVolumes: [files, maps],
      extraVolumeMounts: [mount('files'), mount('maps')],
      env: { WEBHOOK_CERTIFICATE_DIR: '/files' },
    },
  })) as Live[];
  const volumesOf = (name: string) => {
    const { spec } = podOf(objects, name);
    return [spec.volumes, spec.containers[0].volumeMounts];
  };
  t.deepEqual(volumesOf('registry-mirror-operator'), [
    [maps, files],
    [mount('maps'), mount('files')],
  ]);
  const [[certificate, ...volumes], [own, ...mounts]] = volumesOf('registry-rewrite-webhook');
  t.deepEqual([certificate.name, own.name], ['certificate', 'certificate']);
  t.deepEqual(
    [volumes, mounts],
    [
      [files, maps],
      [mount('files'), mount('maps')],
    ],
  );
  for (const object of objects) await t.notThrowsAsync(dryRun(object), nameOf(object));
});

test('the webhook has the time to end that its variable asks for', async (t) => {
  const grace = async (values: object) => {
    const objects = (await helmTemplate({ rewriting: { engine: 'webhook' }, ...values })) as Live[];
    return podOf(objects, 'registry-rewrite-webhook').spec.terminationGracePeriodSeconds;
  };
  t.is(await grace({}), 30);
  for (const [seconds, expected] of [
    [0, 30],
    ['1.5', 30],
    ['5.5', 31],
    [300, 325],
  ])
    t.is(await grace({ webhook: { env: { WEBHOOK_DRAIN_SECONDS: seconds } } }), expected);
  const shared = { engine: 'webhook', env: { WEBHOOK_DRAIN_SECONDS: 60 } };
  t.is(await grace({ rewriting: shared }), 85);
  t.is(await grace({ rewriting: shared, webhook: { env: { WEBHOOK_DRAIN_SECONDS: 10 } } }), 35);
});

test('the jobs of an uninstall end before Helm stops to wait for them', async (t) => {
  for (const [timeout, expected] of Object.entries({ '10m': 630, '3s': 33, '2h': 7230 })) {
    const jobs = ((await helmTemplate({ uninstall: { timeout } })) as Live[]).filter(
      ({ kind }) => kind === 'Job',
    );
    t.deepEqual(
      jobs.map(({ spec }) => spec.activeDeadlineSeconds),
      [expected, expected],
    );
  }
});

test('node agents are scraped at the port that the operator is told of', async (t) => {
  const values = { monitoring: { enabled: true }, operator: { env: { NODE_PORTS: '31000-31099' } } };
  const objects = (await helmTemplate(values)) as Live[];
  const monitor = objects.find(
    ({ kind, metadata }) => kind === 'PodMonitor' && metadata.name === 'registry-mirror-nodes',
  );
  const addresses = monitor.spec.podMetricsEndpoints[0].relabelings
    .filter(({ targetLabel }: Live) => targetLabel === '__address__')
    .map(({ replacement }: Live) => replacement);
  t.deepEqual(addresses, ['$1:31000', '[$1]:31000']);
});

test('a webhook that nobody deploys, though the engine is it, is refused', async (t) => {
  for (const engine of ['webhook', 'auto'])
    await t.throwsAsync(helmTemplate({ rewriting: { engine }, webhook: { enabled: false } }), {
      message: /webhook\.enabled/,
    });
});

test('a parent chart takes it by a condition, and its global values are no mistake', async (t) => {
  const parent = await parentChart(t);
  const rendered = async (enabled: boolean) =>
    helmTemplate(
      { [chartName]: { enabled, labels: { team: 'platform' } }, global: { any: 'thing' } },
      'default',
      parent,
    );
  t.true((await rendered(true)).some(({ kind }) => kind === 'Deployment'));
  t.deepEqual(await rendered(false), []);
});

test('a label of the chart may have another value, and has it once on every object', async (t) => {
  const values = { 'rewriting.engine': 'webhook', 'monitoring.enabled': true };
  const own = ((await helmTemplate(nested(values))) as Live[]).flatMap(({ metadata }) =>
    Object.keys(metadata.labels),
  );
  const names = [...new Set(own)].filter(
    (name) => !['app.kubernetes.io/name', 'app.kubernetes.io/managed-by', 'grafana_dashboard'].includes(name),
  );
  t.deepEqual(names.sort(), [
    'app.kubernetes.io/instance',
    'app.kubernetes.io/part-of',
    'app.kubernetes.io/version',
    'helm.sh/chart',
  ]);
  const labels = { ...Object.fromEntries(names.map((name) => [name, 'mine'])), empty: '', team: 'platform' };
  const objects = (await helmTemplate({ ...nested(values), labels })) as Live[];
  for (const object of objects) t.like(object.metadata.labels, labels, nameOf(object));
});

test('what monitoring’s objects are labelled with counts more than what all are', async (t) => {
  const labels = { release: 'all', team: 'all' };
  const monitoring = {
    enabled: true,
    labels: { release: 'prometheus', 'app.kubernetes.io/part-of': 'monitoring' },
    dashboardLabels: { team: 'grafana' },
  };
  const objects = (await helmTemplate({ labels, monitoring })) as Live[];
  const of = (...kinds: string[]) => objects.filter(({ kind }) => kinds.includes(kind));
  t.true(of('PodMonitor').length > 0);
  for (const object of of('PodMonitor', 'PrometheusRule'))
    t.like(object.metadata.labels, { ...monitoring.labels, team: 'all' }, nameOf(object));
  t.like(of('ConfigMap')[0].metadata.labels, { release: 'all', team: 'grafana' });
});

test('pods get the image by its digest, and numbers as they were written', async (t) => {
  const objects = (await helmTemplate(everything)) as Live[];
  const operator = objects.find(({ kind }) => kind === 'Deployment').spec.template.spec.containers[0];
  const image = `registry.example/operator@sha256:${'a'.repeat(64)}`;
  t.is(operator.image, image, 'which it makes its pods of as well');
  const variables = Object.fromEntries(operator.env.map(({ name, value }: Live) => [name, value]));
  t.like(variables, {
    IMAGE_PULL_SECRETS: 'one,two',
    SECONDS_BETWEEN_STREAMS: '10000000',
    REQUIRE_CREDENTIALS_LABEL: 'true',
    IMAGESWAP_NAMESPACE: 'imageswap-system',
    HOSTESS_DOCKER_IMAGE: 'registry.example/hostess',
    HOSTESS_DOCKER_TAG: '2',
    REWRITE_ENGINE: 'auto',
  });
  const { data } = objects.find(
    ({ kind, metadata }) => kind === 'ConfigMap' && metadata.name === 'registry-rewrite',
  );
  t.deepEqual(data, { GILLY_REGISTRY: 'my.internal.repo', WEBHOOK_TIMEOUT_SECONDS: '3' });
});

test('each hook is one hook in the namespace, and what its job needs is of the same hook or of the release', async (t) => {
  const objects = (await helmTemplate({ uninstall: { enabled: true } }, 'mirrors')) as Live[];
  const hooks = objects.filter(isHook);
  const hookOf = ({ metadata }: Live) => metadata.annotations?.['helm.sh/hook'];
  t.deepEqual([...new Set(hooks.map(hookOf))].sort(), ['post-delete', 'pre-delete']);
  // Argo CD takes them for namespaced ones, does not find them there and makes them again until the end of time.
  t.deepEqual(hooks.filter(({ metadata }) => metadata.namespace !== 'mirrors').map(nameOf), []);
  const jobs = hooks.filter(({ kind }) => kind === 'Job');
  t.is(jobs.length, 2);
  for (const job of jobs) {
    const account = job.spec.template.spec.serviceAccountName;
    const bindings = objects.filter(({ subjects = [] }) =>
      subjects.some(({ name }: Live) => name === account),
    );
    const roles = bindings.map(({ roleRef }) => `${roleRef.kind} ${roleRef.name}`);
    const needed = objects.filter(({ kind, metadata }) =>
      [`ServiceAccount ${account}`, ...roles].includes(`${kind} ${metadata.name}`),
    );
    t.is(needed.length, 1 + roles.length, account);
    // What is of the release is there before it goes, and not after it.
    const allowed = hookOf(job) === 'pre-delete' ? ['pre-delete', undefined] : ['post-delete'];
    for (const object of [...needed, ...bindings]) t.true(allowed.includes(hookOf(object)), nameOf(object));
  }
});

test('kinds are kept when the release goes, unless that is not wanted', async (t) => {
  const policies = async (values: object) =>
    ((await helmTemplate(values)) as Live[])
      .filter(({ kind }) => kind === 'CustomResourceDefinition')
      .map(({ metadata }) => metadata.annotations?.['helm.sh/resource-policy']);
  t.deepEqual(await policies({}), ['keep']);
  t.deepEqual(await policies({ crds: { keep: false } }), [undefined]);
  t.deepEqual(await policies({ crds: { install: false } }), []);
});

/** With kustomize people run what the hooks run. */
function isOfUninstall({ metadata }: KubeObject): boolean {
  return metadata.name.startsWith('registry-mirror-uninstall-');
}

/** What a Deployment makes its pods of. */
function podOf(objects: readonly Live[], deployment: string): Live {
  return objects.find(({ kind, metadata }) => kind === 'Deployment' && metadata.name === deployment).spec
    .template;
}

const chartName = 'registry-mirror-operator';

/** A chart with ours as its dependency, by the condition that is the custom. */
async function parentChart(t: ExecutionContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'parent-'));
  t.teardown(() => rm(folder, { recursive: true }));
  await cp(chartFolder, join(folder, 'charts', chartName), { recursive: true });
  const { version } = load(await readFile(join(chartFolder, 'Chart.yaml'), 'utf8')) as { version: string };
  const dependency = { name: chartName, version, condition: `${chartName}.enabled` };
  const chart = { apiVersion: 'v2', name: 'parent', version: '1.0.0', dependencies: [dependency] };
  await writeFile(join(folder, 'Chart.yaml'), JSON.stringify(chart));
  return folder;
}

function isHook({ metadata }: KubeObject): boolean {
  return JSON.stringify(metadata['annotations'] ?? {}).includes('helm.sh/hook');
}

/** Without what Helm wants on each object, and what kustomize leaves to defaults. */
function withoutHelm(object: Live): Live {
  const { labels, annotations, ...metadata } = object.metadata;
  const own = Object.entries(labels).filter(([key]) => !helmLabels.includes(key));
  if (object.kind === 'Deployment')
    for (const one of object.spec.template.spec.containers) delete one.imagePullPolicy;
  const { 'helm.sh/resource-policy': _, ...rest } = annotations ?? {};
  return {
    ...object,
    metadata: {
      ...metadata,
      ...(own.length > 0 && { labels: Object.fromEntries(own) }),
      ...(Object.keys(rest).length > 0 && { annotations: rest }),
    },
  };
}

const helmLabels = [
  'helm.sh/chart',
  ...['instance', 'version', 'managed-by', 'part-of'].map((name) => `app.kubernetes.io/${name}`),
];

/** Paths of all values; what lies below a path of `known` is one. */
function leaves(
  values: Record<string, unknown>,
  known: Readonly<Record<string, unknown>>,
  at = '',
): string[] {
  return Object.entries(values).flatMap(([name, value]) => {
    const path = `${at}${name}`;
    const isGroup = !(path in known) && typeof value === 'object' && value !== null;
    return isGroup ? leaves(value as Record<string, unknown>, known, `${path}.`) : [path];
  });
}

function undescribed(schema: Live, at: string): string[] {
  return Object.entries<Live>(schema.properties ?? {}).flatMap(([name, field]) => {
    const path = `${at}${name}`;
    const isGroup = field.properties !== undefined && field.default === undefined;
    return [
      ...(field.description?.length > 10 ? [] : [path]),
      ...(isGroup ? undescribed(field, `${path}.`) : []),
    ];
  });
}

async function dryRun(object: KubeObject): Promise<unknown> {
  const path = await objectPath(object, (root) => plane.adminFetch(root));
  return plane.adminFetch(`${path}?fieldManager=test&force=true&dryRun=All&fieldValidation=Strict`, {
    method: 'PATCH',
    contentType: 'application/apply-patch+yaml',
    body: object,
  });
}
