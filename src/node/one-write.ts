/** Several plans' changes to one file as one write, and one signal for each process. Pure. */
import type { Action, SignalAction, WriteAction } from './action.ts';

/** Takes actions that were planned one after the other; what was written twice is written once, where it was written last. */
export function asOneWrite(actions: readonly Action[]): Action[] {
  const merged: Action[] = [];
  for (const action of actions) {
    if (action.do === 'write') addWrite(merged, action);
    else if (action.do === 'signal') addSignal(merged, action);
    else merged.push(action);
  }
  return merged;
}

function addWrite(merged: Action[], action: WriteAction): void {
  const at = merged.findLastIndex(({ do: kind, path }) => kind !== 'signal' && path === action.path);
  const before = merged[at];
  if (before?.do !== 'write' || before.record.kind !== action.record.kind || before.attributes) {
    merged.push(action);
    return;
  }
  merged.splice(at, 1);
  const urls = { ...before.record.urls, ...action.record.urls };
  merged.push({
    ...action,
    expected: before.expected,
    record: {
      ...before.record,
      ...action.record,
      ...(Object.keys(urls).length > 0 && { urls }),
    },
    after: union(before.after, action.after),
  });
}

function addSignal(merged: Action[], action: SignalAction): void {
  const at = merged.findIndex((each) => each.do === 'signal' && each.process === action.process);
  const [before] = at === -1 ? [] : merged.splice(at, 1);
  merged.push({ ...action, after: union(before?.after, action.after) });
}

function union(one: readonly string[] = [], other: readonly string[] = []): string[] {
  return [...new Set([...one, ...other])];
}
