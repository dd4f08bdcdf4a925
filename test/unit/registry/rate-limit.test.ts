import test from 'ava';
import { parseRateLimit } from '../../../src/registry/rate-limit.ts';

test('a rate limit is read with and without its window', (t) => {
  const hub = { 'ratelimit-limit': '100;w=21600', 'ratelimit-remaining': '76;w=21600' };
  t.deepEqual(parseRateLimit(hub), { limit: 100, remaining: 76, windowSeconds: 21600 });
  const plain = { 'ratelimit-limit': '5', 'ratelimit-remaining': '0' };
  t.deepEqual(parseRateLimit(plain), { limit: 5, remaining: 0 });
});

test('half a rate limit, or no number, is none', (t) => {
  t.is(parseRateLimit({}), undefined);
  t.is(parseRateLimit({ 'ratelimit-limit': '100' }), undefined);
  t.is(parseRateLimit({ 'ratelimit-limit': 'many', 'ratelimit-remaining': '1' }), undefined);
  t.is(parseRateLimit({ 'ratelimit-limit': ['1', '2'], 'ratelimit-remaining': '1' }), undefined);
});
