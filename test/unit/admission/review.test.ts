import test from 'ava';
import fc from 'fast-check';
import { answerReview, parseReview, reviewVersions } from '../../../src/admission/review.ts';
import { hostileReviews, pod, reviewOf } from '../../support/reviews.ts';

const nothing = { patch: [], warnings: [] };

for (const apiVersion of reviewVersions) {
  test(`a review of ${apiVersion} is answered in its own version`, (t) => {
    const review = parseReview(JSON.stringify(reviewOf(pod({ a: 'nginx' }), {}, apiVersion)));
    t.deepEqual(JSON.parse(answerReview(review, nothing)), {
      kind: 'AdmissionReview',
      apiVersion,
      response: { uid: 'u-1', allowed: true },
    });
    t.like('request' in review && review.request, { namespace: 'team', operation: 'CREATE', dryRun: false });
  });
}

test('a patch is base64 and named; warnings stand beside it', (t) => {
  const review = parseReview(JSON.stringify(reviewOf(pod({ a: 'nginx' }))));
  const patch = [{ op: 'replace', path: '/spec/containers/0/image', value: 'ünicode' }] as const;
  const { response } = JSON.parse(answerReview(review, { patch, warnings: ['w'] }));
  t.is(response.patchType, 'JSONPatch');
  t.deepEqual(JSON.parse(Buffer.from(response.patch, 'base64').toString()), patch);
  t.deepEqual(response.warnings, ['w']);
});

const uid = '6b1f3c8e-3a5d-4c55-9c1a-1f0d2a7d8e11';
const whole = JSON.stringify(reviewOf(pod({ a: 'nginx' }), { uid }, 'admission.k8s.io/v1beta1'));

/** What, the body, the uid and version of the answer. */
const unusable: readonly [string, string, string, string][] = [
  ['nothing', '', '', 'admission.k8s.io/v1'],
  ['no JSON', 'hello', '', 'admission.k8s.io/v1'],
  ['null', 'null', '', 'admission.k8s.io/v1'],
  ['a list', '[]', '', 'admission.k8s.io/v1'],
  ['a number', '7', '', 'admission.k8s.io/v1'],
  ['an empty object', '{}', '', 'admission.k8s.io/v1'],
  ['no request', '{"apiVersion":"admission.k8s.io/v1beta1"}', '', 'admission.k8s.io/v1beta1'],
  ['a request of null', '{"request":null}', '', 'admission.k8s.io/v1'],
  ['a request that is a list', '{"request":[{"uid":"x"}]}', '', 'admission.k8s.io/v1'],
  ['a uid that is a number', '{"request":{"uid":7}}', '', 'admission.k8s.io/v1'],
  [
    'another version',
    `{"apiVersion":"x/v2","request":{"uid":"${uid}","object":7}}`,
    uid,
    'admission.k8s.io/v1',
  ],
  ['an object that is a text', JSON.stringify(reviewOf('x', { uid })), uid, 'admission.k8s.io/v1'],
  [
    'an old object that is a list',
    JSON.stringify(reviewOf({}, { uid, oldObject: [] })),
    uid,
    'admission.k8s.io/v1',
  ],
  ['half of a review', whole.slice(0, whole.length / 2), uid, 'admission.k8s.io/v1beta1'],
  ['all but the end', whole.slice(0, -1), uid, 'admission.k8s.io/v1beta1'],
  ['a review with something behind it', `${whole}}`, uid, 'admission.k8s.io/v1beta1'],
  [
    'a million brackets',
    `{"request":{"uid":"${uid}","object":${'['.repeat(1e6)}`,
    uid,
    'admission.k8s.io/v1',
  ],
];

for (const [what, body, expectedUid, apiVersion] of unusable) {
  test(`${what} is answered, and allowed`, (t) => {
    const review = parseReview(body);
    t.true('fault' in review);
    const answer = { uid: expectedUid, allowed: true };
    t.deepEqual(JSON.parse(answerReview(review, nothing)), {
      kind: 'AdmissionReview',
      apiVersion,
      response: answer,
    });
  });
}

test('faults say what was expected and quote nothing of the body', (t) => {
  const faults = [
    `{"request":{"uid":"u","object":"${'s3cr3t'}"}}`,
    '{"password": s3cr3t}',
    '{"request":"s3cr3t"}',
  ].map((body) => {
    const review = parseReview(body);
    return 'fault' in review ? review.fault : '';
  });
  t.deepEqual(faults, [
    'request.object: expected an object, got string',
    'expected JSON',
    'request: expected an object, got string',
  ]);
});

test('deeply nested JSON is no trouble', (t) => {
  const deep = `${'['.repeat(500_000)}${']'.repeat(500_000)}`;
  const review = parseReview(`{"request":{"uid":"u","object":{"spec":${deep}}}}`);
  t.true('request' in review);
});

const asAnswer = (text: string) => {
  const review = parseReview(text);
  return { review, answer: JSON.parse(answerReview(review, nothing)) };
};

test('any JSON value has a well-formed answer that allows, with the uid where there is one', (t) => {
  fc.assert(
    fc.property(fc.oneof(fc.jsonValue(), hostileReviews), (value) => {
      const { answer } = asAnswer(JSON.stringify(value) ?? '');
      const request = (value as { request?: { uid?: unknown } } | null)?.request;
      const isObject = typeof request === 'object' && request !== null && !Array.isArray(request);
      const expected = isObject && typeof request.uid === 'string' ? request.uid : '';
      return (
        answer.kind === 'AdmissionReview' &&
        reviewVersions.includes(answer.apiVersion) &&
        answer.response.allowed === true &&
        answer.response.uid === expected
      );
    }),
    { numRuns: 500 },
  );
  t.pass();
});

test('a review cut off anywhere behind its uid has its uid in the answer', (t) => {
  fc.assert(
    fc.property(fc.uuid(), fc.double({ min: 0, max: 1, noNaN: true }), (id, share) => {
      const text = JSON.stringify(reviewOf(pod({ a: 'nginx', b: '"uid":"x"' }), { uid: id }));
      const known = text.indexOf(id) + id.length + 1;
      const cut = text.slice(0, known + Math.floor((text.length - known) * share));
      return asAnswer(cut).answer.response.uid === id;
    }),
  );
  t.pass();
});

test('any text has an answer', (t) => {
  fc.assert(
    fc.property(
      fc.oneof(fc.string(), fc.string({ unit: 'binary' })),
      (text) => asAnswer(text).answer.response.allowed,
    ),
  );
  t.pass();
});
