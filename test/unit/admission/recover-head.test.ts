import test from 'ava';
import { recoverHead } from '../../../src/admission/recover-head.ts';

test('uid and version are found wherever they stand, if what is before them is whole', (t) => {
  t.deepEqual(
    recoverHead(
      '{"request":{"object":{"uid":"no","request":{"uid":"no"}},"uid":"yes"},"apiVersion":"v", oops',
    ),
    {
      apiVersion: 'v',
      uid: 'yes',
    },
  );
});

test('a uid that is not the request’s is none', (t) => {
  for (const text of [
    '{"uid":"x"',
    '{"a":{"uid":"x"',
    '{"request":{"a":{"uid":"x"}',
    '{"request":[{"uid":"x"}',
    '[{"request":{"uid":"x"}}',
    '"request":{"uid":"x"',
  ])
    t.is(recoverHead(text).uid, undefined, text);
});

test('texts in texts are not taken for fields', (t) => {
  t.is(
    recoverHead(String.raw`{"a":"\"request\":{\"uid\":\"no\"","request":{"b":"\\","uid":"yes"`).uid,
    'yes',
  );
  t.is(recoverHead(String.raw`{"request":{"uid":"a\"bA"`).uid, 'a"bA');
});

test('a uid that is cut off, or no text, is none', (t) => {
  t.is(recoverHead('{"request":{"uid":"6b1f').uid, undefined);
  t.is(recoverHead('{"request":{"uid":7').uid, undefined);
  t.is(recoverHead(String.raw`{"request":{"uid":"\u12"`).uid, undefined);
});

test('megabytes of anything are gone through once', (t) => {
  const started = performance.now();
  for (const filling of ['"', '\\', '"\\', '{', '[{"a":', ' ', '\\"'])
    recoverHead(`{"request":{"object":"${filling.repeat(2 ** 21 / filling.length)}`);
  // Once takes some ten milliseconds each; with the square of the length it would be hours.
  t.true(performance.now() - started < 20_000);
});
