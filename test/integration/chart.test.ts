/** The Helm chart: the same objects as kustomize's, values that are checked, and a real API server that takes all of it. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
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
    const rendered = (await helmTemplate(nested(values))).filter((object) => !isHook(object));
    const built = await kustomizeBuild(components);
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
  [{ operator: { resources: { request: {} } } }, /operator\/resources.*request/],
  [{ operator: { tolerations: [{ effect: 'NoExec' }] } }, /operator\/tolerations\/0\/effect/],
  [{ operator: { affinity: { nodeAfinity: {} } } }, /operator\/affinity.*nodeAfinity/],
  [{ uninstall: { timeout: '10' } }, /uninstall\/timeout/],
  [{ imageswapNamespace: 'Not A Name' }, /imageswapNamespace/],
];

for (const [values, message] of wrong) {
  test(`refused by its name: ${JSON.stringify(values)}`, async (t) => {
    await t.throwsAsync(helmTemplate(values), { message });
  });
}

test('the webhook mounts the certificate that the operator is told of', async (t) => {
  const mounted = async (values: object) => {
    const objects = await helmTemplate({ rewriting: { engine: 'webhook', ...values } });
    const deployment = objects.find(
      ({ kind, metadata }) => kind === 'Deployment' && metadata.name === 'registry-rewrite-webhook',
    ) as Live;
    return deployment.spec.template.spec.volumes[0].secret;
  };
  const own = { secretName: 'registry-rewrite-webhook-tls', optional: false };
  t.like(await mounted({}), own);
  t.like(await mounted({ env: { WEBHOOK_CERTIFICATE: 'cert-manager' } }), own);
  const given = { WEBHOOK_CERTIFICATE: 'secret', WEBHOOK_CERTIFICATE_SECRET: 'gilly-certs' };
  t.like(await mounted({ env: given }), { secretName: 'gilly-certs', optional: false });
  t.like(await mounted({ env: { WEBHOOK_CERTIFICATE: 'files' } }), { ...own, optional: true });
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

test('a parent chart’s global values are no mistake', async (t) => {
  await t.notThrowsAsync(helmTemplate({ global: { any: 'thing' } }));
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

test('kinds are kept when the release goes, unless that is not wanted', async (t) => {
  const policies = async (values: object) =>
    ((await helmTemplate(values)) as Live[])
      .filter(({ kind }) => kind === 'CustomResourceDefinition')
      .map(({ metadata }) => metadata.annotations?.['helm.sh/resource-policy']);
  t.deepEqual(await policies({}), ['keep']);
  t.deepEqual(await policies({ crds: { keep: false } }), [undefined]);
  t.deepEqual(await policies({ crds: { install: false } }), []);
});

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
