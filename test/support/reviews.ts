/** AdmissionReviews for tests: what the API server sends, and arbitrary ones that nobody should. */
import fc from 'fast-check';
import type { AdmitSettings } from '../../src/admission/admit.ts';
import { type AdmissionRequest, readReview } from '../../src/admission/review.ts';
import { formatReference } from '../../src/image/reference.ts';
import { nearReferences, references } from './reference-arbitraries.ts';

export const settings: AdmitSettings = {
  namespaces: 'all',
  disableLabel: 'k8s.twr.io/imageswap',
  skipOwners: ['Cluster.postgresql.cnpg.io'],
  annotate: true,
};

/** A pod with these containers, by name. */
export function pod(images: Record<string, string>, metadata: object = {}, spec: object = {}) {
  const containers = Object.entries(images).map(([name, image]) => ({ name, image }));
  return {
    kind: 'Pod',
    apiVersion: 'v1',
    metadata: { name: 'p', ...metadata },
    spec: { containers, ...spec },
  };
}

/** The review of an object; `request` replaces fields of the request. */
export function reviewOf(object: unknown, request: object = {}, apiVersion = 'admission.k8s.io/v1') {
  return {
    kind: 'AdmissionReview',
    apiVersion,
    request: {
      uid: 'u-1',
      kind: { group: '', version: 'v1', kind: 'Pod' },
      resource: { group: '', version: 'v1', resource: 'pods' },
      namespace: 'team',
      operation: 'CREATE',
      object,
      oldObject: null,
      dryRun: false,
      ...request,
    },
  };
}

/** The request of such a review, as it is read. */
export function requestOf(object: unknown, request: object = {}): AdmissionRequest {
  const review = readReview(reviewOf(object, request));
  if ('fault' in review) throw new Error(review.fault);
  return review.request;
}

const anything = fc.jsonValue({ maxDepth: 3 });
const odd = <T>(usual: fc.Arbitrary<T>) =>
  fc.oneof({ weight: 8, arbitrary: usual }, { weight: 1, arbitrary: anything });
const absent = <T>(usual: fc.Arbitrary<T>) => fc.option(usual, { nil: undefined, freq: 5 });

export const images = fc.oneof(
  references.map(formatReference),
  nearReferences,
  fc.constantFrom(
    'nginx',
    'quay.io/a/b:1',
    'gcr.io/x',
    'docker.io/library/redis',
    'loop.a/x',
    'bad.io/x',
    '',
  ),
);

const names = fc.oneof(fc.constantFrom('a', 'b', 'c'), fc.string());
const container = fc.record({ name: odd(names), image: odd(images) }, { requiredKeys: [] });
const containers = odd(fc.array(odd(container), { maxLength: 4 }));
const volume = fc.record(
  { name: odd(names), image: odd(fc.record({ reference: odd(images) }, { requiredKeys: [] })) },
  { requiredKeys: [] },
);
const metadata = fc.record(
  {
    name: odd(names),
    labels: odd(
      fc.dictionary(fc.constantFrom('a', 'k8s.twr.io/imageswap'), fc.constantFrom('x', 'disabled')),
    ),
    annotations: odd(
      fc.dictionary(
        fc.constantFrom('x', 'original-image.k8s.osp.tech/a', 'original-volume-image.k8s.osp.tech/b'),
        odd(images),
      ),
    ),
    ownerReferences: odd(fc.array(anything, { maxLength: 2 })),
  },
  { requiredKeys: [] },
);
const podSpec = fc.record(
  {
    containers,
    initContainers: containers,
    ephemeralContainers: containers,
    volumes: odd(fc.array(odd(volume), { maxLength: 3 })),
    imagePullSecrets: odd(fc.array(fc.constant({ name: 's' }), { maxLength: 1 })),
  },
  { requiredKeys: ['containers'] },
);

/** Pods as they are, and with anything in any place. */
export const hostilePods = fc.record({ metadata: odd(metadata), spec: odd(podSpec) }, { requiredKeys: [] });

const template = fc.record({ template: odd(hostilePods) }, { requiredKeys: [] });
/** Objects with a pod template somewhere. */
export const hostileWorkloads = fc.record({
  metadata: odd(metadata),
  spec: odd(fc.oneof(template, fc.record({ jobTemplate: odd(fc.record({ spec: odd(template) })) }))),
});

/** Requests of the API server's, and with anything in any place. */
export const hostileReviews = fc.record(
  {
    kind: odd(fc.constant('AdmissionReview')),
    apiVersion: odd(fc.constantFrom('admission.k8s.io/v1', 'admission.k8s.io/v1beta1')),
    request: odd(
      fc.record(
        {
          uid: odd(fc.uuid()),
          kind: odd(fc.constantFrom({ group: '', kind: 'Pod' }, { group: 'apps', kind: 'Deployment' })),
          subResource: absent(odd(fc.constantFrom('', 'ephemeralcontainers', 'status'))),
          namespace: odd(fc.constantFrom('team', 'kube-system', 'other')),
          operation: odd(fc.constantFrom('CREATE', 'UPDATE', 'DELETE', 'CONNECT')),
          dryRun: odd(fc.boolean()),
          object: odd(fc.oneof(hostilePods, hostileWorkloads)),
          oldObject: odd(fc.oneof(hostilePods, hostileWorkloads)),
        },
        { requiredKeys: [] },
      ),
    ),
  },
  { requiredKeys: [] },
);
