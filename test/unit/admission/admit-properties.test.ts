/** What holds for any object, however it is formed. */
import test from 'ava';
import fc from 'fast-check';
import { admit } from '../../../src/admission/admit.ts';
import { reviewPaths } from '../../../src/admission/paths.ts';
import { type AdmissionRequest, readReview } from '../../../src/admission/review.ts';
import { isImageReference } from '../../../src/image/reference.ts';
import { compileRules } from '../../../src/image/rules/table.ts';
import { applyPatch } from '../../support/json-patch.ts';
import { hostilePods, hostileReviews, hostileWorkloads, requestOf, settings } from '../../support/reviews.ts';

const table = compileRules({
  imageMaps: [
    {
      namespace: 'team',
      name: 'm',
      creationTimestamp: '2026-01-01T00:00:00Z',
      map: [
        { from: 'nginx', to: 'map.local/nginx' },
        { from: '', to: 'empty.local/x' },
        { from: 'loop.a/x', to: 'loop.b/x' },
        { from: 'loop.b/x', to: 'loop.a/x' },
      ],
    },
  ],
  imageswap: {
    map: 'default::\nquay.io::swap.local/q\nbad.io::no_.local\n[REPLACE]gcr.io/*::pattern.local',
  },
  gilly: { registry: 'gilly.local/g', exclude: [], keepSource: true },
});
const namespaceLabels = { 'k8s.twr.io/imageswap': 'enabled' };
const paths = fc.constantFrom(...reviewPaths);

function decide(request: AdmissionRequest, path = reviewPaths[0]!) {
  return admit({ request, path, namespaceLabels, table, settings });
}

const objects = fc.oneof(
  hostilePods.map((object) => ({ object, kind: { group: '', version: 'v1', kind: 'Pod' } })),
  hostileWorkloads.map((object) => ({ object, kind: { group: 'apps', version: 'v1', kind: 'Deployment' } })),
  hostileWorkloads.map((object) => ({ object, kind: { group: 'batch', version: 'v1', kind: 'Job' } })),
);
/** What comes from the API server has passed through JSON. */
const fromJson = <T>(value: T): T => JSON.parse(JSON.stringify(value));

const place = '(/spec(/jobTemplate/spec)?/template)?';
const imagePath = new RegExp(
  `^${place}/spec/((containers|initContainers|ephemeralContainers)/[0-9]+/image|volumes/[0-9]+/image/reference)$`,
);
const annotationPath = new RegExp(
  `^${place}/metadata(/annotations(/original-(volume-)?image\\.k8s\\.osp\\.tech~1[-A-Za-z0-9_.]+)?)?$`,
);

test('any request has a decision', (t) => {
  fc.assert(
    fc.property(hostileReviews, paths, (value, path) => {
      const review = readReview(fromJson(value));
      return 'fault' in review || Array.isArray(decide(review.request, path).patch);
    }),
    { numRuns: 1_000 },
  );
  t.pass();
});

test('a patch applies, and changes images and our annotations only, into image references', (t) => {
  fc.assert(
    fc.property(objects, paths, ({ object: any, kind }, path) => {
      const object = fromJson(any);
      const { patch } = decide(requestOf(object, { kind }), path);
      applyPatch(object, patch);
      return patch.every((operation) =>
        imagePath.test(operation.path)
          ? operation.op === 'replace' && isImageReference(String(operation.value))
          : operation.op === 'add' && annotationPath.test(operation.path),
      );
    }),
    { numRuns: 1_000 },
  );
  t.pass();
});

test('asked again about what it made, it changes nothing', (t) => {
  fc.assert(
    fc.property(objects, paths, ({ object: any, kind }, path) => {
      const object = fromJson(any);
      const made = applyPatch(object, decide(requestOf(object, { kind }), path).patch);
      return decide(requestOf(made, { kind }), path).patch.length === 0;
    }),
    { numRuns: 1_000 },
  );
  t.pass();
});

test('asked again about an update, it changes nothing; and an update of nothing changes nothing', (t) => {
  fc.assert(
    fc.property(objects, objects, ({ object: any, kind }, { object: other }) => {
      const [object, oldObject] = [fromJson(any), fromJson(other)];
      const update = (now: object, old: object) =>
        decide(requestOf(now, { kind, operation: 'UPDATE', oldObject: old })).patch;
      const made = applyPatch(object, update(object, oldObject));
      return update(made, oldObject).length === 0 && update(object, object).length === 0;
    }),
    { numRuns: 1_000 },
  );
  t.pass();
});
