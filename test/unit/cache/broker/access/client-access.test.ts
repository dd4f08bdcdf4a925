import test from 'ava';
import { ClientAccess } from '../../../../../src/cache/broker/access/client-access.ts';
import type { ObjectRoute } from '../../../../../src/cache/broker/routes.ts';
import type {
  UpstreamAnswer,
  UpstreamClient,
  UpstreamRequest,
} from '../../../../../src/registry/upstream-client.ts';
import { UpstreamError, UpstreamStatusError } from '../../../../../src/registry/upstream-error.ts';

const minute = 60_000;
const { signal } = new AbortController();
const route: ObjectRoute = { kind: 'manifest', mirror: 'm', repository: 'a', reference: '1' };

test('what was allowed counts for its time, and for an hour at least while the upstream is away', async (t) => {
  const { access, upstream, pass } = setUp(5 * minute);
  t.is(await access('alice'), 'allowed');
  upstream.status = 403;
  t.is(await access('alice'), 'allowed');
  upstream.status = 'away';
  pass(59 * minute);
  t.is(await access('alice'), 'allowed');
  t.is(await access('bob'), 'unknown');
  pass(minute);
  t.is(await access('alice'), 'unknown');
});

test('what came of each question that the upstream was asked is noted, and of none that was not', async (t) => {
  const { access, upstream, noted, pass } = setUp(minute);
  await access('alice');
  await access('alice');
  t.deepEqual(noted, [undefined]);
  pass(2 * minute);
  upstream.status = 'away';
  t.is(await access('alice'), 'allowed');
  t.is(await access('bob'), 'unknown');
  t.is(noted.length, 3);
  for (const error of noted.slice(1)) t.true(error instanceof UpstreamError);
});

test('a refusal ends it at once, also for the time in which the upstream is away', async (t) => {
  const { access, upstream, pass } = setUp(minute);
  await access('alice');
  pass(2 * minute);
  upstream.status = 403;
  t.is(await access('alice'), 'denied');
  upstream.status = 'away';
  pass(minute);
  t.is(await access('alice'), 'unknown');
});

test('a refusal of what was allowed ends it for that client, and a failure does not', async (t) => {
  const { access, refusal, upstream } = setUp(minute);
  await access('alice');
  await access('bob');
  t.is((await refusal('alice', new UpstreamError('timeout', 'late'))).kind, 'unknown');
  upstream.status = 401;
  t.is(await access('alice'), 'allowed');
  const expired = new UpstreamStatusError(401, 'expired', { challenge: 'Bearer realm="r",error="e"' });
  t.deepEqual(await refusal('alice', expired), { kind: 'unauthorized', challenge: 'Bearer realm="r"' });
  t.is(await access('alice'), 'unauthorized');
  t.is(await access('bob'), 'allowed');
});

test('who showed nothing is asked for credentials whatever anybody is answered, but for what is not there', async (t) => {
  const challenge = 'Basic realm="r"';
  for (const [failure, told] of [
    [new UpstreamStatusError(403, 'token refused'), { kind: 'unauthorized', challenge }],
    [new UpstreamStatusError(429, 'too many requests'), { kind: 'unknown', challenge }],
    [new UpstreamError('token', 'expected a token, got status 500'), { kind: 'unknown', challenge }],
    [new UpstreamStatusError(404, 'not there'), { kind: 'absent' }],
    [new UpstreamError('refused', 'ECONNREFUSED'), { kind: 'unknown' }],
  ] as const) {
    const { access, permission, upstream } = setUp(minute);
    upstream.status = 401;
    upstream.anybody = failure;
    t.deepEqual(await permission(undefined), told, failure.message);
    t.is(await access('alice'), 'unauthorized');
    upstream.status = 403;
    t.is(await access('bob'), 'denied');
  }
});

test('what anybody was allowed goes on while its token server fails', async (t) => {
  const { access, upstream, pass } = setUp(minute);
  t.is(await access(undefined), 'allowed');
  pass(2 * minute);
  upstream.status = 401;
  upstream.anybody = new UpstreamError('token', 'expected a token, got status 500');
  t.is(await access(undefined), 'allowed');
  upstream.anybody = new UpstreamStatusError(403, 'token refused');
  pass(minute);
  t.is(await access(undefined), 'unauthorized');
});

test('an authTTL longer than an hour is the longest that counts', async (t) => {
  const { access, upstream, pass } = setUp(180 * minute);
  await access('alice');
  upstream.status = 'away';
  pass(179 * minute);
  t.is(await access('alice'), 'allowed');
  pass(minute);
  t.is(await access('alice'), 'unknown');
});

test('an answer of 401, 403 and 404 is told as what it is, any other is none', async (t) => {
  for (const [status, kind] of [
    [401, 'unauthorized'],
    [403, 'denied'],
    [404, 'absent'],
    [429, 'unknown'],
    [500, 'unknown'],
  ] as const) {
    const { access, upstream } = setUp(minute);
    upstream.status = status;
    t.is(await access('alice'), kind);
  }
});

/** An upstream that answers every HEAD of a manifest with `status`, or fails with `anybody` for who shows nothing, and a clock that `pass` moves. */
function setUp(ttlMs: number) {
  let now = 1_000_000;
  const upstream: { status: number | 'away'; anybody?: Error } = { status: 200 };
  const client = {
    request: async ({ authorization }: UpstreamRequest) => {
      if (authorization === undefined && upstream.anybody !== undefined) throw upstream.anybody;
      if (upstream.status === 'away') throw new UpstreamError('refused', 'upstream.test: ECONNREFUSED');
      const headers = { 'content-type': 'application/vnd.oci.image.manifest.v1+json' };
      return {
        status: upstream.status,
        headers,
        url: new URL('https://upstream.test'),
        body: { dump: async () => {} },
      };
    },
    refuse: async ({ status }: UpstreamAnswer) =>
      new UpstreamStatusError(status, 'refused', { challenge: 'Basic realm="r"' }),
  } as unknown as UpstreamClient;
  const noted: unknown[] = [];
  const note = (error?: unknown) => void noted.push(error);
  const clients = new ClientAccess(client, ttlMs, { note, now: () => now });
  const questionOf = (authorization: string | undefined) => ({
    route,
    repository: 'a',
    authorization,
    signal,
  });
  const permission = (authorization: string | undefined) => clients.permission(questionOf(authorization));
  return {
    upstream,
    noted,
    refusal: (authorization: string, error: unknown) => clients.refusal(questionOf(authorization), error),
    /** Later than what stands of a failure. */
    pass: (ms: number) => {
      now += ms;
    },
    permission,
    access: async (authorization: string | undefined) => (await permission(authorization)).kind,
  };
}
