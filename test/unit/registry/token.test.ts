import { Readable } from 'node:stream';
import test from 'ava';
import { TokenSource } from '../../../src/registry/token.ts';
import type { HttpRequest, Transport } from '../../../src/registry/transport.ts';
import { UpstreamError } from '../../../src/registry/upstream-error.ts';

interface Reply {
  status?: number;
  headers?: Record<string, string>;
  json?: unknown;
  text?: string;
  /** The connection ends instead. */
  broken?: boolean;
}

const startedAt = 1_000_000;

/** A token server that answers from a list (the last one again and again) and remembers what it was asked. */
function setUp(...replies: Reply[]) {
  const asked: { url: URL; request: HttpRequest }[] = [];
  let release = () => {};
  const gate = new Promise<void>((resolve) => (release = resolve));
  const state = { now: startedAt, gated: false };
  const send = async (url: URL, request: HttpRequest) => {
    const reply = replies[Math.min(asked.length, replies.length - 1)] ?? {};
    asked.push({ url, request });
    if (state.gated) await gate;
    if (reply.broken) throw new UpstreamError('broken', 'auth.example: UND_ERR_SOCKET');
    const bytes = Buffer.from(reply.text ?? JSON.stringify(reply.json ?? {}));
    const body = Object.assign(Readable.from([bytes]), { dump: async () => {} });
    return { status: reply.status ?? 200, headers: reply.headers ?? {}, body };
  };
  const transport = { send } as unknown as Transport;
  const source = new TokenSource({ transport: () => transport, now: () => state.now });
  return { source, asked, state, release: () => release() };
}

const signal = new AbortController().signal;
const request = {
  realm: new URL('https://auth.example/token?own=1'),
  service: 'registry.example',
  scope: 'repository:a/b:pull',
  credentials: undefined,
};

test('an anonymous token is asked for by GET with service and scope added to the realm’s own query', async (t) => {
  const { source, asked } = setUp({ json: { token: 'abc' } });
  t.is(await source.get(request, signal), 'abc');
  const { url, request: sent } = asked[0]!;
  t.is(url.href, 'https://auth.example/token?own=1&service=registry.example&scope=repository%3Aa%2Fb%3Apull');
  t.is(sent.method, 'GET');
  t.is(sent.headers['authorization'], undefined);
});

test('a token server that closes an idle connection meanwhile is asked again, once', async (t) => {
  const meanwhile = setUp({ broken: true }, { json: { token: 'abc' } });
  t.is(await meanwhile.source.get(request, signal), 'abc');
  const always = setUp({ broken: true });
  await t.throwsAsync(always.source.get(request, signal), { code: 'broken' });
  t.is(always.asked.length, 2);
});

test('user name and password are shown as Basic in UTF-8', async (t) => {
  const { source, asked } = setUp({ json: { access_token: 'abc' } });
  await source.get({ ...request, credentials: { kind: 'basic', username: 'ü', password: 'p:w' } }, signal);
  const value = asked[0]?.request.headers['authorization'] ?? '';
  t.is(Buffer.from(value.replace('Basic ', ''), 'base64').toString('utf8'), 'ü:p:w');
});

test('an identity token is posted as a refresh token and stands in no URL', async (t) => {
  const { source, asked } = setUp({ json: { access_token: 'abc' } });
  await source.get({ ...request, credentials: { kind: 'identity', token: 'refresh-me' } }, signal);
  const { url, request: sent } = asked[0]!;
  t.is(sent.method, 'POST');
  t.false(url.href.includes('refresh-me'));
  t.is(new URLSearchParams(sent.body).get('refresh_token'), 'refresh-me');
  t.is(new URLSearchParams(sent.body).get('scope'), 'repository:a/b:pull');
});

for (const status of [404, 405]) {
  test(`a token server that answers a POST with ${status} is shown the identity token as a password`, async (t) => {
    const { source, asked } = setUp({ status }, { json: { token: 'abc' } });
    const credentials = { kind: 'identity' as const, token: 'refresh-me', username: 'somebody' };
    t.is(await source.get({ ...request, credentials }, signal), 'abc');
    const { url, request: sent } = asked[1]!;
    t.is(sent.method, 'GET');
    t.false(url.href.includes('refresh-me'));
    const value = sent.headers['authorization'] ?? '';
    t.is(Buffer.from(value.replace('Basic ', ''), 'base64').toString(), 'somebody:refresh-me');
  });
}

test('of two fields for the token the one that is filled in counts', async (t) => {
  const { source } = setUp({ json: { token: '', access_token: 'abc' } });
  t.is(await source.get(request, signal), 'abc');
});

test('those who ask at the same time share one request, and one who leaves does not end it', async (t) => {
  const { source, asked, state, release } = setUp({ json: { token: 'abc' } });
  state.gated = true;
  const leaver = new AbortController();
  const left = source.get(request, leaver.signal);
  const stayed = Array.from({ length: 20 }, () => source.get(request, signal));
  leaver.abort();
  await t.throwsAsync(left, { name: 'AbortError' });
  release();
  t.deepEqual(new Set(await Promise.all(stayed)), new Set(['abc']));
  t.is(asked.length, 1);
});

test('a token is used until shortly before it expires and replaced beside its last uses', async (t) => {
  const { source, asked, state } = setUp(
    { json: { token: 'one', expires_in: 100 } },
    { json: { token: 'two' } },
  );
  await source.get(request, signal);
  state.now += 59_000;
  t.is(await source.get(request, signal), 'one');
  t.is(asked.length, 1);
  // 100 s less twice the margin of 20 s: now a new one is fetched, but nobody waits for it.
  state.now += 2_000;
  t.is(await source.get(request, signal), 'one');
  t.is(asked.length, 2);
  await new Promise((resolve) => setImmediate(resolve));
  t.is(await source.get(request, signal), 'two');
});

for (const [expiresIn, life] of [
  [undefined, 60],
  [0, 60],
  [-5, 60],
  ['120', 120],
  ['soon', 60],
  [1e12, 86_400],
] as const) {
  test(`expires_in ${expiresIn} means ${life} seconds`, async (t) => {
    const { source, asked, state } = setUp({ json: { token: 'one', expires_in: expiresIn } });
    await source.get(request, signal);
    const margin = Math.min(30, life / 5);
    state.now += (life - 2 * margin) * 1000 - 1;
    await source.get(request, signal);
    t.is(asked.length, 1);
    state.now += 2 * margin * 1000;
    await source.get(request, signal);
    t.is(asked.length, 2);
  });
}

for (const [what, issued, date, life] of [
  ['made a minute ago', -60, undefined, 40],
  ['made just now', 0, undefined, 100],
  ['made later than now', 60, undefined, 100],
  ['made so long ago that it is over', -500, undefined, 100],
  ['made just now by a clock an hour behind', -3600, -3600, 100],
  ['made a minute ago by a clock an hour ahead', 3540, 3600, 40],
] as const) {
  test(`a token of 100 seconds ${what} is good for ${life}`, async (t) => {
    const at = (seconds: number) => new Date(startedAt + seconds * 1000);
    const json = { token: 'one', expires_in: 100, issued_at: at(issued).toISOString() };
    const headers = date === undefined ? {} : { date: at(date).toUTCString() };
    const { source, asked, state } = setUp({ json, headers: headers as Record<string, string> });
    await source.get(request, signal);
    const margin = Math.min(30, life / 5);
    state.now += (life - 2 * margin) * 1000 - 1;
    await source.get(request, signal);
    t.is(asked.length, 1);
    state.now += 2;
    await source.get(request, signal);
    t.is(asked.length, 2);
  });
}

test('a token that the registry refused is not given again', async (t) => {
  const { source, state } = setUp({ json: { token: 'one' } }, { json: { token: 'two' } });
  await source.get(request, signal);
  state.now += 5_000;
  t.is(await source.get(request, signal, ['one']), 'two');
  t.is(await source.get(request, signal, ['one']), 'two');
});

test('a token refused right after it was given is not replaced: it is the repository that is refused', async (t) => {
  const { source, asked } = setUp({ json: { token: 'one' } }, { json: { token: 'two' } });
  await source.get(request, signal);
  t.is(await source.get(request, signal, ['one']), 'one');
  t.is(asked.length, 1);
});

test('while a token still lives, a token server that fails is asked for another only every two seconds', async (t) => {
  const { source, asked, state } = setUp({ json: { token: 'one', expires_in: 100 } }, { status: 500 });
  await source.get(request, signal);
  state.now += 61_000;
  for (let count = 0; count < 5; count++) {
    t.is(await source.get(request, signal), 'one');
    await new Promise((resolve) => setImmediate(resolve));
  }
  t.is(asked.length, 2);
});

test('other credentials get another token', async (t) => {
  const { source } = setUp({ json: { token: 'one' } }, { json: { token: 'two' } });
  const as = (password: string) => ({
    ...request,
    credentials: { kind: 'basic' as const, username: 'u', password },
  });
  t.is(await source.get(as('a'), signal), 'one');
  t.is(await source.get(as('b'), signal), 'two');
  t.is(await source.get(as('a'), signal), 'one');
});

test('a token server that has had enough is asked for nothing of that kind until it said so, and for others in turn', async (t) => {
  const { source, asked, state } = setUp(
    { status: 429, headers: { 'retry-after': '30' } },
    { json: { token: 'abc' } },
  );
  await t.throwsAsync(source.get(request, signal), { name: 'UpstreamStatusError' });
  state.now += 10_000;
  t.like(await t.throwsAsync(source.get(request, signal)), { status: 429, retryAfterSeconds: 20 });
  t.is(asked.length, 1);
  t.is(await source.get({ ...request, scope: 'repository:c/d:pull' }, signal), 'abc');
  state.now += 20_001;
  t.is(await source.get(request, signal), 'abc');
});

test('a refusal stands for two seconds', async (t) => {
  const { source, asked, state } = setUp({ status: 401 }, { json: { token: 'abc' } });
  await t.throwsAsync(source.get(request, signal), { name: 'UpstreamStatusError' });
  await t.throwsAsync(source.get(request, signal), { name: 'UpstreamStatusError' });
  t.is(asked.length, 1);
  state.now += 2_001;
  t.is(await source.get(request, signal), 'abc');
});

for (const [what, reply, expected] of [
  ['401', { status: 401 }, { status: 401 }],
  ['403', { status: 403 }, { status: 403 }],
  ['429', { status: 429, headers: { 'retry-after': '7' } }, { status: 429, retryAfterSeconds: 7 }],
  ['500', { status: 500 }, { code: 'token' }],
  ['a redirect', { status: 302 }, { code: 'token' }],
  ['no JSON', { text: 'secret-text' }, { code: 'token' }],
  ['an array', { text: '[]' }, { code: 'token' }],
  ['no token', { json: {} }, { code: 'token' }],
  ['a token with a line break', { json: { token: 'secret-text\r\nX: y' } }, { code: 'token' }],
  ['too much', { text: `"${'x'.repeat(1024 * 1024)}"` }, { code: 'answer' }],
] as const) {
  test(`a token server that answers ${what} is no token`, async (t) => {
    const { source } = setUp(reply);
    const error = await t.throwsAsync(source.get(request, signal));
    t.like(error, expected);
    t.false(error.message.includes('secret-text'));
  });
}

test('a 403 for one repository is no word on credentials that were given a token for another one and may use it still', async (t) => {
  const credentials = { kind: 'basic', username: 'u', password: 'p' } as const;
  const of = (scope: string) => ({ ...request, credentials, scope: `repository:${scope}:pull` });
  const refused = { status: 403 };
  const { source, state } = setUp({ json: { token: 'abc', expires_in: 100 } }, refused, refused, {
    status: 401,
  });
  await source.get(of('ours'), signal);
  const error = await t.throwsAsync(source.get(of('theirs'), signal));
  t.like(error, { status: 403, credentialsRefused: false });
  state.now += 3_600_000;
  t.like(await t.throwsAsync(source.get(of('theirs'), signal)), { status: 403, credentialsRefused: true });
  state.now += 3_600_000;
  t.like(await t.throwsAsync(source.get(of('ours'), signal)), { status: 401, credentialsRefused: true });
});
