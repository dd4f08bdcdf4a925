import test from 'ava';
import { refusalOf, validUntilOf } from '../../../../../src/cache/broker/peers/told.ts';
import { UpstreamError, UpstreamStatusError } from '../../../../../src/registry/upstream-error.ts';

const now = Date.parse('2026-05-06T07:08:09.500Z');
const date = (ms: number) => new Date(ms).toUTCString();

test('clocks that agree: the end of a life is the one that was told', (t) => {
  t.is(validUntilOf({ 'x-valid-until': String(now + 30_000), date: date(now) }, now), now + 30_000);
  t.is(validUntilOf({ 'x-valid-until': String(now + 30_000) }, now), now + 30_000);
});

test('a clock that is ahead or behind by more than two seconds is allowed for, and never makes a life longer', (t) => {
  for (const skew of [-3_600_000, -10_000, -4_000, 4_000, 10_000, 3_600_000]) {
    const theirs = now + skew;
    const until = validUntilOf({ 'x-valid-until': String(theirs + 30_000), date: date(theirs) }, now) ?? 0;
    t.true(until <= now + 30_000 && until > now + 28_000, `${skew}: ${until - now}`);
  }
});

test('what is no moment is none', (t) => {
  for (const text of ['', 'soon', '-1', '1.5', '1'.repeat(17)]) {
    t.is(validUntilOf({ 'x-valid-until': text, date: date(now) }, now), undefined);
  }
  t.is(validUntilOf({}, now), undefined);
});

test('how the upstream itself refused is the answer, with the time it named', (t) => {
  for (const status of [401, 403, 404, 429]) {
    const headers = { 'x-upstream-status': String(status), 'x-upstream-identity': 'own', 'retry-after': '7' };
    const refusal = refusalOf({ status: status === 429 ? 503 : status, headers }, 'm-1', 'own', now);
    t.true(refusal instanceof UpstreamStatusError);
    t.like(refusal, { status, retryAfterSeconds: 7 });
  }
  t.like(refusalOf({ status: 416, headers: {} }, 'm-1', 'own', now), { status: 416 });
});

test("a challenge of the upstream is passed on; an owner's own refusals, and those of another upstream, are none", (t) => {
  const asked = {
    'x-upstream-identity': 'own',
    'x-upstream-status': '401',
    'www-authenticate': 'Basic realm="r"',
  };
  t.like(refusalOf({ status: 401, headers: asked }, 'm-1', 'own', now), { challenge: 'Basic realm="r"' });
  // nginx adds that of the answer which it turned aside.
  const twice = { ...asked, 'www-authenticate': ['Basic realm="r"', 'Basic realm="r"'] };
  t.like(refusalOf({ status: 401, headers: twice }, 'm-1', 'own', now), {
    challenge: 'Basic realm="r", Basic realm="r"',
  });
  for (const headers of [
    {},
    { 'x-upstream-status': '404' },
    { 'x-upstream-status': '404', 'x-upstream-identity': 'other' },
    { 'x-upstream-status': '500', 'x-upstream-identity': 'own' },
  ]) {
    t.true(refusalOf({ status: 404, headers }, 'm-1', 'own', now) instanceof UpstreamError);
  }
});
