import test from 'ava';
import { ApiError, answerToError } from '../../../src/kube/errors.ts';
import { TerminalError, WaitingError } from '../../../src/observe/errors.ts';
import { outcomeOf } from '../../../src/operator/outcome.ts';

test('What a person must mend is stalled, what is awaited is looked at again, anything else is tried again', (t) => {
  t.like(outcomeOf(new TerminalError('Broken', 'it is')), { kind: 'stalled', reason: 'Broken' });
  t.like(outcomeOf(new WaitingError('NotYet', 'soon', 1_000)), { kind: 'waiting', afterMs: 1_000 });
  t.like(outcomeOf(new ApiError('GET /', 500)), { kind: 'backoff' });
  t.like(outcomeOf(new Error('reset')), { kind: 'backoff' });
});

test('A busy server is asked again when it wants to be', (t) => {
  t.like(outcomeOf(answerToError('GET /', 429, '', '7')), { kind: 'waiting', afterMs: 7_000 });
});

test('A server that names no pause is not asked again at once, nor one that names an hour only then', (t) => {
  for (const retryAfter of ['0', ' ', '-1']) {
    t.like(outcomeOf(answerToError('GET /', 429, '', retryAfter)), { kind: 'backoff' }, retryAfter);
  }
  t.like(outcomeOf(answerToError('GET /', 503, '', '3600')), { kind: 'waiting', afterMs: 60_000 });
});
