import test from 'ava';
import { ApiError, answerToError } from '../../../src/kube/errors.ts';

test('a Status becomes an error that names request, status, reason and message', (t) => {
  const status = { kind: 'Status', code: 404, reason: 'NotFound', message: 'pods "a" not found' };
  const error = answerToError('GET /api/v1/pods/a', 404, JSON.stringify(status));
  t.is(error.message, 'GET /api/v1/pods/a: 404 NotFound pods "a" not found');
  t.true(error.notFound);
});

test('each status answers exactly its own questions', (t) => {
  const facts = [
    'invalid',
    'unauthorized',
    'forbidden',
    'notFound',
    'conflict',
    'alreadyExists',
    'gone',
    'tooManyRequests',
  ] as const;
  const of = (status: number, reason: string) => {
    const error = new ApiError('GET /', status, { reason });
    return facts.filter((fact) => error[fact]);
  };
  t.deepEqual(of(422, 'Invalid'), ['invalid']);
  t.deepEqual(of(401, 'Unauthorized'), ['unauthorized']);
  t.deepEqual(of(403, 'Forbidden'), ['forbidden']);
  t.deepEqual(of(404, 'NotFound'), ['notFound']);
  t.deepEqual(of(409, 'Conflict'), ['conflict']);
  t.deepEqual(of(409, 'AlreadyExists'), ['alreadyExists']);
  t.deepEqual(of(410, 'Expired'), ['gone']);
  t.deepEqual(of(429, 'TooManyRequests'), ['tooManyRequests']);
  t.deepEqual(of(500, 'InternalError'), []);
});

test('a field that server-side apply does not know is as invalid as one of a wrong value', (t) => {
  const message =
    'failed to create typed patch object (default/s; apps/v1, Kind=StatefulSet): .spec.typo: field not declared in schema';
  t.true(answerToError('PATCH /', 500, JSON.stringify({ kind: 'Status', code: 500, message })).invalid);
  t.false(
    answerToError(
      'PATCH /',
      500,
      JSON.stringify({ kind: 'Status', code: 500, message: 'etcdserver: leader changed' }),
    ).invalid,
  );
});

test('a pause the server asked for comes from Retry-After or from the Status', (t) => {
  t.is(answerToError('GET /', 429, 'slow down', '3').retryAfterMs, 3_000);
  const status = { kind: 'Status', details: { retryAfterSeconds: 7 } };
  t.is(answerToError('GET /', 503, JSON.stringify(status)).retryAfterMs, 7_000);
  t.is(answerToError('GET /', 503, '', 'Wed, 21 Oct 2026 07:28:00 GMT').retryAfterMs, undefined);
  t.is(answerToError('GET /', 503, '').retryAfterMs, undefined);
});

test('a message is redacted and cut, whoever wrote it', (t) => {
  const status = { kind: 'Status', message: `Authorization: Bearer abc.def ${'x'.repeat(10_000)}` };
  const error = answerToError('POST /', 422, JSON.stringify(status));
  t.false(error.message.includes('abc.def'));
  t.true(error.message.length < 2_200);
  t.is(
    answerToError('GET /', 502, '<html>bad gateway</html>').message,
    'GET /: 502 <html>bad gateway</html>',
  );
});
