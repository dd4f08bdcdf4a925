import test from 'ava';
import { parseWarmEvent } from '../../../../src/cache/warm/warm-event.ts';

test('a line of another version, and one that is no event, is passed over', (t) => {
  const known = { event: 'progress', image: 'a', bytes: 1, total: 2 };
  t.deepEqual(parseWarmEvent(JSON.stringify(known)), known);
  t.deepEqual(parseWarmEvent(JSON.stringify({ ...known, later: true })), known);
  for (const line of ['', 'text', '{}', '[]', 'null', '{"event":"unknown"}', '{"event":"progress"}']) {
    t.is(parseWarmEvent(line), undefined, line);
  }
});
