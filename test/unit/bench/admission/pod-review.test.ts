import test from 'ava';
import { podReview, registries } from '../../../../bench/admission/pod-review.ts';
import { imagesIn, podIn } from '../../../../src/admission/pod-images.ts';
import { parseReview } from '../../../../src/admission/review.ts';

test('the review is 8 KiB, and has three images and what the API server says of owners', (t) => {
  const text = podReview(registries.rewritten);
  t.is(Buffer.byteLength(text), 8192);
  const review = parseReview(text);
  const request = 'request' in review ? review.request : undefined;
  const pod = request?.object && podIn(request.kind, request.object);
  t.is(pod && imagesIn(pod).length, 3);
  t.regex(text, /,"managedFields":\[\{[^\]]*\]\},"spec":\{/);
});
