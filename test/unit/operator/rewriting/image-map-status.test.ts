import test from 'ava';
import {
  newStatus,
  readyCondition,
  type StoredImageMap,
  saysTheSame,
  storedReady,
} from '../../../../src/operator/rewriting/image-map-status.ts';

const now = new Date('2026-01-02T03:04:05.678Z');
const observationTime = '2026-01-02T03:04:05Z';
const accepted = { generation: 3 };
const rejected = { generation: 3, rejected: 'imagemap "a" was rejected' };

function stored(status?: unknown): StoredImageMap {
  return { apiVersion: 'x/v1', kind: 'ImageMap', metadata: { name: 'a' }, status } as StoredImageMap;
}

function written(status: unknown, verdict: { generation: number; rejected?: string }) {
  return newStatus(stored(status), verdict, readyCondition(verdict, now));
}

test('a map in force is Ready without a message, one that is not has the reason', (t) => {
  t.deepEqual(readyCondition(accepted, now), { type: 'Ready', status: 'True', observationTime });
  t.deepEqual(readyCondition(rejected, now), {
    type: 'Ready',
    status: 'False',
    observationTime,
    message: rejected.rejected,
  });
});

test('a status that says the same is not written, whenever it was observed', (t) => {
  const time = '2020-01-01T00:00:00Z';
  const ready = { type: 'Ready', status: 'True', observationTime: time };
  t.is(written({ observedGeneration: 3, conditions: [ready] }, accepted), undefined);
  t.is(written({ observedGeneration: 3, conditions: [{ ...ready, message: '' }] }, accepted), undefined);
  const refused = { type: 'Ready', status: 'False', message: rejected.rejected };
  t.is(written({ observedGeneration: 3, conditions: [refused] }, rejected), undefined);
});

const changes: readonly [string, unknown][] = [
  ['no status', undefined],
  ['a status that is null', null],
  ['no condition', { observedGeneration: 3, conditions: [] }],
  ['conditions that are none', { observedGeneration: 3, conditions: 'x' }],
  ['an older generation', { observedGeneration: 2, conditions: [{ type: 'Ready', status: 'True' }] }],
  ['another status', { observedGeneration: 3, conditions: [{ type: 'Ready', status: 'False' }] }],
  ['a message', { observedGeneration: 3, conditions: [{ type: 'Ready', status: 'True', message: 'x' }] }],
  [
    'the condition twice',
    {
      observedGeneration: 3,
      conditions: [
        { type: 'Ready', status: 'True' },
        { type: 'Ready', status: 'False' },
      ],
    },
  ],
];

for (const [title, status] of changes) {
  test(`${title} is replaced`, (t) => {
    t.deepEqual(written(status, accepted), {
      observedGeneration: 3,
      conditions: [{ type: 'Ready', status: 'True', observationTime }],
    });
  });
}

test('conditions of others stay', (t) => {
  const other = { type: 'Other', status: 'Unknown', message: 'theirs' };
  const status = { observedGeneration: 2, conditions: [{ type: 'Ready', status: 'True' }, other] };
  t.deepEqual(written(status, rejected)?.conditions, [other, readyCondition(rejected, now)]);
  const settled = { observedGeneration: 3, conditions: [other, { type: 'Ready', status: 'True' }] };
  t.is(written(settled, accepted), undefined);
});

test('a message that could not be stored is cut, always alike', (t) => {
  const verdict = { generation: 3, rejected: 'x'.repeat(5_000_000) };
  const ready = readyCondition(verdict, now);
  t.is(ready.message?.length, 65_536);
  t.true(ready.message?.endsWith('x…'));
  t.is(newStatus(stored({ observedGeneration: 3, conditions: [ready] }), verdict, ready), undefined);
});

test('the stored condition is compared by status and message', (t) => {
  const condition = { type: 'Ready', status: 'False', message: 'a', observationTime };
  t.is(storedReady(stored()), undefined);
  t.is(storedReady(stored({ conditions: [condition] })), condition);
  t.false(saysTheSame(undefined, condition));
  t.false(saysTheSame({ ...condition, message: 'b' }, condition));
  t.true(saysTheSame({ ...condition, observationTime: 'x' }, condition));
});
