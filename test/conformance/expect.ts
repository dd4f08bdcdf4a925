/** What several checks look for in an answer. */
import assert from 'node:assert/strict';
import { digestOf } from '../support/images.ts';
import type { Answer } from './subject.ts';

/** 200 with exactly these bytes, their digest where one is stated, and their length. */
export function expectContent(answer: Answer, wanted: { digest: string; content: Buffer }): void {
  assert.equal(answer.status, 200);
  assert.equal(digestOf(answer.body), wanted.digest);
  assert.equal(answer.body.length, wanted.content.length);
  expectDigest(answer, wanted.digest);
}

/** SHOULD in the specification; every client since docker 1.10 looks at it. */
export function expectDigest({ headers }: Answer, digest: string): void {
  assert.equal(headers['docker-content-digest'], digest);
}

/** 404; a body in JSON has the form of the specification. */
export function expectNotFound(answer: Answer): void {
  assert.equal(answer.status, 404);
  expectErrorForm(answer);
}

/** A body of JSON is a list of errors with codes of capitals and underscores; any other form of body is allowed. */
export function expectErrorForm({ headers, body }: Answer): void {
  if (body.length === 0 || !/^application\/json\b/.test(headers['content-type'] ?? '')) return;
  const { errors } = JSON.parse(body.toString()) as { errors?: unknown };
  assert.ok(Array.isArray(errors) && errors.length > 0, 'a list of errors');
  for (const { code, message } of errors) {
    assert.match(code, /^[A-Z_]+$/);
    assert.ok(message === undefined || typeof message === 'string', 'a message that is text');
  }
}

export function expectType({ headers }: Answer, type: string): void {
  assert.equal(headers['content-type'], type);
}
