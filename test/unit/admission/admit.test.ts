import test from 'ava';
import { type AdmitSettings, admit } from '../../../src/admission/admit.ts';
import { type ReviewPath, reviewPaths } from '../../../src/admission/paths.ts';
import { compileRules } from '../../../src/image/rules/table.ts';
import { applyPatch } from '../../support/json-patch.ts';
import { pod, requestOf, settings } from '../../support/reviews.ts';

const table = compileRules({
  imageMaps: [
    {
      namespace: 'team',
      name: 'boot',
      creationTimestamp: '2026-01-01T00:00:00Z',
      map: [{ from: 'nginx', to: 'map.local/nginx' }],
    },
  ],
  imageswap: { map: 'default::\nghcr.io::swap.local\nbad.io::no_.local' },
  mirrors: [
    { name: 'hub', masquerade: 'quay.io', address: '10.0.0.1', available: true },
    { name: 'away', masquerade: 'away.io', address: '10.0.0.2', available: false },
  ],
  gilly: { registry: 'gilly.local', exclude: [], keepSource: false },
});

interface Case {
  readonly object: object;
  readonly request?: object;
  readonly path?: string;
  readonly labels?: Record<string, string>;
  readonly options?: Partial<AdmitSettings>;
}

const enabled = { 'k8s.twr.io/imageswap': 'enabled' };

function decide({ object, request = {}, path = '/rewrite', labels = enabled, options = {} }: Case) {
  return admit({
    request: requestOf(object, request),
    path: reviewPaths.find((each) => each.path === path) as ReviewPath,
    namespaceLabels: labels,
    table,
    settings: { ...settings, ...options },
  });
}

/** The images of what becomes of a pod, in the order of its lists. */
function imagesAfter(wanted: Case): string[] {
  const { spec } = applyPatch(wanted.object, decide(wanted).patch) as ReturnType<typeof pod>;
  return spec.containers.map(({ image }) => image);
}

const four = pod({ a: 'nginx', b: 'ghcr.io/x/y:1', c: 'quay.io/x/y:1', d: 'gcr.io/x/y:1' });

test('every source rewrites what is its own', (t) => {
  t.deepEqual(imagesAfter({ object: four }), [
    'map.local/nginx',
    'swap.local/x/y:1',
    '10.0.0.1/quay.io/x/y:1',
    'gilly.local/x/y:1',
  ]);
});

test('images are replaced, and what they were is kept in annotations', (t) => {
  const volumes = [{ name: 'v', image: { reference: 'gcr.io/v' } }];
  const object = pod({ a: 'gcr.io/a' }, {}, { volumes });
  t.deepEqual(decide({ object }).patch, [
    { op: 'replace', path: '/spec/containers/0/image', value: 'gilly.local/a' },
    { op: 'replace', path: '/spec/volumes/0/image/reference', value: 'gilly.local/v' },
    {
      op: 'add',
      path: '/metadata/annotations',
      value: {
        'original-image.k8s.osp.tech/a': 'gcr.io/a',
        'original-volume-image.k8s.osp.tech/v': 'gcr.io/v',
      },
    },
  ]);
  t.is(decide({ object, options: { annotate: false } }).patch.length, 2);
});

const away = pod({ a: 'gcr.io/a' });

/** Title, what is asked, the reason. */
const leftAlone: readonly [string, Case, string][] = [
  ['a DELETE', { object: away, request: { operation: 'DELETE' } }, 'operation'],
  ['a CONNECT', { object: away, request: { operation: 'CONNECT' } }, 'operation'],
  ['an operation nobody knows', { object: away, request: { operation: 'EAT' } }, 'operation'],
  ['a request without an object', { object: away, request: { object: null } }, 'noPod'],
  [
    'an object without a pod',
    { object: { spec: {} }, request: { kind: { group: '', kind: 'Service' } } },
    'noPod',
  ],
  ['a pod’s status', { object: away, request: { subResource: 'status' } }, 'kind'],
  ['a pod’s size', { object: away, request: { operation: 'UPDATE', subResource: 'resize' } }, 'kind'],
  [
    'a Deployment’s scale',
    { object: away, request: { kind: { group: 'autoscaling', kind: 'Scale' }, subResource: 'scale' } },
    'kind',
  ],
  ['kube-system', { object: away, request: { namespace: 'kube-system' } }, 'namespace'],
  [
    'a namespace that opted out',
    { object: away, labels: { 'k8s.twr.io/imageswap': 'disabled' } },
    'namespace',
  ],
  [
    'an object that opted out',
    { object: pod({ a: 'gcr.io/a' }, { labels: { 'k8s.twr.io/imageswap': 'disabled' } }) },
    'object',
  ],
  [
    'an object that opted out by another label',
    { object: pod({ a: 'gcr.io/a' }, { labels: { 'x/y': 'disabled' } }), options: { disableLabel: 'x/y' } },
    'object',
  ],
  [
    'a pod of our own',
    {
      object: pod(
        { a: 'gcr.io/a' },
        { labels: { 'app.kubernetes.io/managed-by': 'registry-mirror-operator' } },
      ),
    },
    'object',
  ],
  [
    'a mirror pod, of which the node has a manifest of its own',
    {
      object: pod(
        { a: 'gcr.io/a' },
        { annotations: { 'kubernetes.io/config.mirror': '2ad3ad1b0e2ae2e4cf2c42dc8e0f6b3c' } },
      ),
    },
    'object',
  ],
  [
    'a pod of a controller that compares images',
    {
      object: pod(
        { a: 'gcr.io/a' },
        { ownerReferences: [{ apiVersion: 'postgresql.cnpg.io/v1', kind: 'Cluster', controller: true }] },
      ),
    },
    'owner',
  ],
];

for (const [what, wanted, reason] of leftAlone) {
  test(`${what} is left alone`, (t) => {
    const admission = decide(wanted);
    t.deepEqual(admission.patch, []);
    t.is(admission.leftAlone?.reason, reason as never);
  });
}

test('opt-outs count at every path', (t) => {
  const object = pod({ a: 'gcr.io/a' }, { labels: { 'k8s.twr.io/imageswap': 'disabled' } });
  for (const { path } of reviewPaths) {
    t.is(decide({ object, path }).leftAlone?.reason, 'object', path);
    t.is(
      decide({ object: away, path, request: { namespace: 'kube-system' } }).leftAlone?.reason,
      'namespace',
    );
  }
});

test('without labels on the namespace imageswap’s rules do not count', (t) => {
  t.deepEqual(imagesAfter({ object: four, labels: {} }), [
    'map.local/nginx',
    'gilly.local/x/y:1',
    '10.0.0.1/quay.io/x/y:1',
    'gilly.local/x/y:1',
  ]);
});

test('an alias has the scope of the system whose path it is', (t) => {
  const nothing = ['nginx', 'ghcr.io/x/y:1', 'quay.io/x/y:1', 'gcr.io/x/y:1'];
  const labels = {};
  const options = { namespaces: 'labelled' } as const;
  const at = (path: string, request = {}) => imagesAfter({ object: four, path, labels, options, request });
  t.deepEqual(at('/mutate'), [
    'gilly.local/nginx',
    'gilly.local/x/y:1',
    'gilly.local/x/y:1',
    'gilly.local/x/y:1',
  ]);
  t.deepEqual(at('/mutate', { operation: 'UPDATE', oldObject: pod({}) }), nothing);
  t.deepEqual(at('/image-mapper'), ['map.local/nginx', ...nothing.slice(1)]);
  t.deepEqual(at('/'), ['nginx', 'swap.local/x/y:1', '10.0.0.1/quay.io/x/y:1', 'gcr.io/x/y:1']);
});

test('ImageMaps do not count where image-mapper’s label says so', (t) => {
  const labels = { 'image-mapper-webhook.image-relocation.pivotal.io/enabled': 'false' };
  t.is(imagesAfter({ object: four, path: '/image-mapper', labels })[0], 'nginx');
});

const deployment = (images: Record<string, string>, metadata = {}, template = {}) => ({
  kind: 'Deployment',
  metadata: { name: 'd', ...metadata },
  spec: { template: pod(images, template) },
});
const apps = { kind: { group: 'apps', version: 'v1', kind: 'Deployment' } };
const update = (oldObject: object) => ({ operation: 'UPDATE', oldObject });

test('gilly’s and image-mapper’s paths are for pods alone', (t) => {
  const object = deployment({ a: 'gcr.io/a' });
  t.is(decide({ object, path: '/mutate', request: apps }).leftAlone?.reason, 'kind');
  t.is(decide({ object, path: '/image-mapper', request: apps }).leftAlone?.reason, 'kind');
});

test('a workload’s template is rewritten and annotated, but what mirrors are for is left to its pods', (t) => {
  const object = deployment({ a: 'gcr.io/a', b: 'quay.io/b', c: 'away.io/c', d: '10.0.0.1/quay.io/d' });
  const admission = decide({ object, request: apps });
  t.deepEqual(admission.patch, [
    { op: 'replace', path: '/spec/template/spec/containers/0/image', value: 'gilly.local/a' },
    {
      op: 'add',
      path: '/spec/template/metadata/annotations',
      value: { 'original-image.k8s.osp.tech/a': 'gcr.io/a' },
    },
  ]);
  t.deepEqual(
    admission.decisions.map(({ leftToPods }) => leftToPods),
    [false, true, true, true],
  );
});

test('a template that names its pull secrets itself is as its pods will be', (t) => {
  const object = { spec: { template: pod({ a: 'quay.io/b' }, {}, { imagePullSecrets: [{ name: 's' }] }) } };
  t.is(decide({ object, request: apps }).patch[0]?.path, '/spec/template/spec/containers/0/image');
});

test('a template that a controller made is left alone: one that differs from its own it would make again', (t) => {
  const kind = { group: 'apps', version: 'v1', kind: 'ReplicaSet' };
  const metadata = (controller: boolean) => ({
    ownerReferences: [{ apiVersion: 'apps/v1', kind: 'Deployment', controller }],
  });
  const object = deployment({ a: 'gcr.io/a' }, metadata(true));
  const requests = [{ kind }, { kind, ...update(deployment({ a: 'gcr.io/old' }, metadata(true))) }];
  for (const request of requests) {
    const admission = decide({ object, request });
    t.deepEqual(admission.patch, []);
    t.deepEqual(admission.leftAlone, { reason: 'owner', why: 'its controller is a Deployment.apps' });
  }
  t.is(decide({ object: deployment({ a: 'gcr.io/a' }, metadata(false)), request: { kind } }).patch.length, 2);
});

const batch = { kind: { group: 'batch', version: 'v1', kind: 'Job' } };
const originalOf = (name: string) => `original-image.k8s.osp.tech/${name}`;

test('a Job that names its images as before keeps those it has, whatever the rules are by now: its template cannot change', (t) => {
  const annotations = {
    [originalOf('a')]: 'gcr.io/a',
    [originalOf('b')]: 'quay.io/b',
    [originalOf('c')]: 'unruled.example/c',
    'original-volume-image.k8s.osp.tech/v': 'gcr.io/v',
  };
  const volumes = (reference: string) => ({ volumes: [{ name: 'v', image: { reference } }] });
  const before = {
    spec: {
      template: pod(
        { a: 'former.local/a', b: 'former.local/b', c: 'former.local/c' },
        { annotations },
        volumes('former.local/v'),
      ),
    },
  };
  const sent = (metadata: object) => ({
    spec: {
      template: pod({ a: 'gcr.io/a', b: 'quay.io/b', c: 'unruled.example/c' }, metadata, volumes('gcr.io/v')),
    },
  });
  const request = { ...batch, ...update(before) };
  for (const metadata of [{ annotations }, {}])
    for (const options of [{}, { annotate: false }]) {
      const object = sent(metadata);
      const { patch } = decide({ object, request, options });
      t.deepEqual(applyPatch(object, patch), before);
    }
});

test('of a Job what an update does change is rewritten, and of a Deployment all of it, by today’s rules', (t) => {
  const annotations = { [originalOf('a')]: 'gcr.io/a:1' };
  const before = deployment({ a: 'former.local/a:1' }, {}, { annotations });
  const images = (object: object, kind: object) =>
    (
      applyPatch(object, decide({ object, request: { ...kind, ...update(before) } }).patch) as typeof before
    ).spec.template.spec.containers.map(({ image }) => image);
  t.deepEqual(images(deployment({ a: 'gcr.io/a:2' }, {}, { annotations }), batch), ['gilly.local/a:2']);
  t.deepEqual(images(deployment({ a: 'gcr.io/a:1' }, {}, { annotations }), apps), ['gilly.local/a:1']);
});

test('a workload opts out by its own label and by its template’s', (t) => {
  const labels = { labels: { 'k8s.twr.io/imageswap': 'disabled' } };
  t.is(decide({ object: deployment({ a: 'gcr.io/a' }, labels), request: apps }).leftAlone?.reason, 'object');
  t.is(
    decide({ object: deployment({ a: 'gcr.io/a' }, {}, labels), request: apps }).leftAlone?.reason,
    'object',
  );
});

test('a mirror that is away, and pods with pull secrets, are passed over', (t) => {
  const spec = { imagePullSecrets: [{ name: 's' }] };
  t.deepEqual(imagesAfter({ object: pod({ a: 'away.io/x' }) }), ['gilly.local/x']);
  const admission = decide({ object: pod({ a: 'quay.io/x' }, {}, spec) });
  t.deepEqual(
    admission.decisions.flatMap(({ rewrite }) => rewrite.passedOver.map(({ reason }) => reason)),
    ['pullSecrets'],
  );
  t.deepEqual(admission.warnings, []);
});

test('images with the pull policy Never are left by mirrors, the same ones without it are not', (t) => {
  const containers = [
    { name: 'a', image: 'quay.io/x', imagePullPolicy: 'Never' },
    { name: 'b', image: 'quay.io/x' },
  ];
  const volumes = [{ name: 'c', image: { reference: 'quay.io/x', pullPolicy: 'Never' } }];
  const { patch } = decide({ object: pod({}, {}, { containers, volumes }), options: { annotate: false } });
  t.deepEqual(patch, [
    { op: 'replace', path: '/spec/containers/0/image', value: 'gilly.local/x' },
    { op: 'replace', path: '/spec/containers/1/image', value: '10.0.0.1/quay.io/x' },
    { op: 'replace', path: '/spec/volumes/0/image/reference', value: 'gilly.local/x' },
  ]);
});

test('a rule that could not be applied is a warning', (t) => {
  const admission = decide({ object: pod({ a: 'bad.io/x', b: 'gcr.io/b' }) });
  t.is(admission.patch[0]?.path, '/spec/containers/1/image');
  t.is(admission.warnings.length, 1);
  t.regex(admission.warnings[0] ?? '', /^bad.io\/x stays: imageswap:3 bad.io/);
});

test('an update that changes no image changes nothing, whatever the rules would say', (t) => {
  const object = pod({ a: 'gcr.io/a', b: 'nginx' }, { labels: { new: 'label' } });
  t.deepEqual(decide({ object, request: update(pod({ b: 'nginx', a: 'gcr.io/a' })) }).patch, []);
});

test('an update is rewritten where it changes an image or adds a container', (t) => {
  const object = pod({ a: 'gcr.io/a', b: 'gcr.io/b:2', c: 'gcr.io/c' });
  t.deepEqual(imagesAfter({ object, request: update(pod({ a: 'gcr.io/a', b: 'gcr.io/b:1' })) }), [
    'gcr.io/a',
    'gilly.local/b:2',
    'gilly.local/c',
  ]);
});

test('an update without the state before is left as it is', (t) => {
  t.deepEqual(decide({ object: away, request: { operation: 'UPDATE', oldObject: null } }).patch, []);
});

test('an annotation that an update has made untrue goes; one that the update wrote itself stays', (t) => {
  const key = 'original-image.k8s.osp.tech/a';
  const before = pod({ a: 'gilly.local/a' }, { annotations: { [key]: 'gcr.io/a', x: 'y' } });
  const same = pod({ a: 'gilly.local/other' }, { annotations: { [key]: 'gcr.io/a', x: 'y' } });
  t.deepEqual(decide({ object: same, request: update(before) }).patch, [
    { op: 'remove', path: '/metadata/annotations/original-image.k8s.osp.tech~1a' },
  ]);
  const written = pod({ a: 'gilly.local/other' }, { annotations: { [key]: 'gcr.io/other' } });
  t.deepEqual(decide({ object: written, request: update(before) }).patch, []);
  const rewritten = pod({ a: 'gcr.io/new' }, { annotations: { [key]: 'gcr.io/a', x: 'y' } });
  t.deepEqual(decide({ object: rewritten, request: update(before) }).patch.at(-1), {
    op: 'add',
    path: '/metadata/annotations/original-image.k8s.osp.tech~1a',
    value: 'gcr.io/new',
  });
});

test('of ephemeral containers the new ones are rewritten, and nothing is annotated', (t) => {
  const ephemeral = (...images: string[]) =>
    pod(
      { a: 'gcr.io/a' },
      {},
      { ephemeralContainers: images.map((image, index) => ({ name: `e${index}`, image })) },
    );
  const request = { ...update(ephemeral('gcr.io/old')), subResource: 'ephemeralcontainers' };
  t.deepEqual(decide({ object: ephemeral('gcr.io/old', 'gcr.io/new'), request }).patch, [
    { op: 'replace', path: '/spec/ephemeralContainers/1/image', value: 'gilly.local/new' },
  ]);
  t.is(decide({ object: ephemeral('gcr.io/e'), request, path: '/image-mapper' }).leftAlone?.reason, 'kind');
});

test('ten thousand containers are rewritten, with as many annotations as the API server takes', (t) => {
  const many = (count: number) =>
    pod(
      Object.fromEntries(
        Array.from({ length: count }, (_, index) => [`c${index}`, `gcr.io/image-${index}:1`]),
      ),
    );
  const { patch } = decide({ object: many(10_000) });
  t.is(patch.length, 10_000, 'annotations would be more than it takes: there are none');
  const { patch: fewer } = decide({ object: many(1_000) });
  t.is(fewer.length, 1_001);
});
