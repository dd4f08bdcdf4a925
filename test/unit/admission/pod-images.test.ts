import test from 'ava';
import { imagesIn, keyOf, podIn, pointerOf } from '../../../src/admission/pod-images.ts';
import { pod } from '../../support/reviews.ts';

const podKind = { group: '', kind: 'Pod' };
const spec = {
  containers: [{ name: 'a', image: 'one' }],
  initContainers: [{ name: 'b', image: 'two' }],
  ephemeralContainers: [{ name: 'c', image: 'three' }],
  volumes: [
    { name: 'd', emptyDir: {} },
    { name: 'e', image: { reference: 'four' } },
  ],
};
const pointers = [
  '/spec/containers/0/image',
  '/spec/initContainers/0/image',
  '/spec/ephemeralContainers/0/image',
  '/spec/volumes/1/image/reference',
];

test('a pod has images in four lists', (t) => {
  const place = podIn(podKind, pod({}, {}, spec))!;
  t.deepEqual(
    imagesIn(place).map((image) => [pointerOf(place, image), image.image, keyOf(image)]),
    [
      [pointers[0], 'one', 'containers/a'],
      [pointers[1], 'two', 'initContainers/b'],
      [pointers[2], 'three', 'ephemeralContainers/c'],
      [pointers[3], 'four', 'volumes/e'],
    ],
  );
});

/** Kind, group, and what stands above the pod's spec. */
const workloads: readonly [string, string, string][] = [
  ['Deployment', 'apps', '/spec/template'],
  ['DaemonSet', 'apps', '/spec/template'],
  ['StatefulSet', 'apps', '/spec/template'],
  ['ReplicaSet', 'apps', '/spec/template'],
  ['ReplicationController', '', '/spec/template'],
  ['Job', 'batch', '/spec/template'],
  ['CronJob', 'batch', '/spec/jobTemplate/spec/template'],
  ['Rollout', 'argoproj.io', '/spec/template'],
];

for (const [kind, group, pointer] of workloads) {
  test(`a ${kind} has them in its template`, (t) => {
    const object = pointer
      .split('/')
      .slice(1)
      .reduceRight<Record<string, unknown>>((inner, step) => ({ [step]: inner }), { spec });
    const place = podIn({ group, kind }, object)!;
    t.true(place.isTemplate);
    t.deepEqual(
      imagesIn(place).map((image) => pointerOf(place, image)),
      pointers.map((each) => `${pointer}${each}`),
    );
  });
}

test('what has no pod in it has no place', (t) => {
  t.is(podIn(podKind, {}), undefined);
  t.is(podIn(podKind, { spec: null }), undefined);
  t.is(podIn({ group: '', kind: 'Service' }, { spec: { ports: [] } }), undefined);
  t.is(podIn({ group: 'x', kind: 'Y' }, { spec: { template: { spec: { containers: {} } } } }), undefined);
  t.is(podIn({ group: 'x', kind: 'Y' }, { spec: { template: 'text' } }), undefined);
});

test('a kind that is called Pod in another group is none', (t) => {
  t.is(podIn({ group: 'example.com', kind: 'Pod' }, pod({ a: 'nginx' })), undefined);
});

test('wrong shapes cost the others nothing, and indexes stay right', (t) => {
  const place = podIn(podKind, {
    spec: {
      containers: [null, 7, 'text', [], {}, { image: null }, { image: {} }, { name: 5, image: 'nginx' }],
      initContainers: 'none',
      volumes: [{ image: 'text' }, { image: { reference: 5 } }, { name: 'v', image: { reference: 'x' } }],
    },
  })!;
  t.deepEqual(
    imagesIn(place).map((image) => [pointerOf(place, image), keyOf(image)]),
    [
      ['/spec/containers/7/image', 'containers/#7'],
      ['/spec/volumes/2/image/reference', 'volumes/v'],
    ],
  );
});
