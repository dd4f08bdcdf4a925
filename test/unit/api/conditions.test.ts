import test from 'ava';
import { isConditionTrue, mergeConditions } from '../../../src/api/conditions.ts';

const before = '2026-01-01T00:00:00Z';
const now = '2026-01-02T00:00:00Z';
const ready = { type: 'Ready', status: 'True', reason: 'Ready', message: '' } as const;
const stalled = { type: 'Stalled', status: 'False', reason: 'Fine', message: '' } as const;

test('a condition keeps its transition time while its status stays', (t) => {
  const previous = [{ ...ready, reason: 'Other', lastTransitionTime: before }];
  t.deepEqual(mergeConditions(previous, [ready], { now, generation: 2 }), [
    { ...ready, lastTransitionTime: before, observedGeneration: 2 },
  ]);
});

test('a condition whose status changes, or that is new, gets a new transition time', (t) => {
  const previous = [{ ...ready, status: 'False' as const, lastTransitionTime: before }];
  const merged = mergeConditions(previous, [stalled, ready], { now });
  t.deepEqual(merged, [
    { ...ready, lastTransitionTime: now },
    { ...stalled, lastTransitionTime: now },
  ]);
});

test('a condition that is not found any more is left out', (t) => {
  t.deepEqual(mergeConditions([{ ...ready, lastTransitionTime: before }], [], { now }), []);
});

test('an absent condition is not true', (t) => {
  t.false(isConditionTrue(undefined, 'Ready'));
  t.true(isConditionTrue([{ ...ready, lastTransitionTime: before }], 'Ready'));
});
