/**
 * Every fault of an upstream (rows) against what may be asked of the cache at that moment (columns: a blob and a manifest that
 * it has never seen, a tag whose time is over, what it has by digest): what the client gets, what is kept, what the status says.
 */
import assert from 'node:assert/strict';
import test, { type ExecutionContext } from 'ava';
import { eventually } from '../support/eventually.ts';
import {
  type FaultWorld,
  type Scene,
  type SceneOptions,
  startFaultWorld,
  type Wanted,
} from '../support/fault-world.ts';
import type { Received } from '../support/nginx.ts';

/**
 * `exact`: all bytes with 200. `stale`: the same from the copy, and counted as stale. `broken`: an error, or an answer that
 * ends early, never the whole. A number: this status, in the form of the distribution specification.
 */
type Outcome = 'exact' | 'stale' | 'broken' | number;

interface Row {
  readonly title: string;
  readonly setUp?: Partial<Omit<SceneOptions, 'name'>>;
  readonly fault: (scene: Scene) => unknown;
  readonly blob: Outcome;
  readonly manifest: Outcome;
  readonly tag: Outcome;
  /** What the status says after each of the three. */
  readonly reason: string | readonly [string, string, string];
  /** More that must hold of an answer to a cold request. */
  readonly also?: (t: ExecutionContext, answer: Received, scene: Scene) => unknown;
}

/** Nothing new to be had: cold requests fail with `status`, the tag is the copy. */
function away(status: Outcome) {
  return { blob: status, manifest: status, tag: 'stale' } as const;
}

const well = { blob: 'exact', manifest: 'exact', tag: 'exact', reason: 'Ok' } as const;
const everything = { blobs: true, manifests: true };

const rows: readonly Row[] = [
  { title: 'no fault', fault: () => {}, ...well },
  { title: 'its name does not resolve', fault: (s) => s.unresolve(), ...away(502), reason: 'DNS' },
  { title: 'it refuses connections', fault: (s) => s.upstream.close(), ...away(502), reason: 'Refused' },
  ...(['unknown authority', 'wrong name', 'expired'] as const).map((fault) => ({
    title: `its certificate is no good: ${fault}`,
    setUp: { scheme: 'https' as const },
    fault: (s: Scene) => s.present(fault),
    ...away(502),
    reason: 'TLS',
  })),
  {
    title: 'it never answers',
    fault: (s) => (s.upstream.faults = { delayMs: 10_000 }),
    ...away(504),
    reason: 'Timeout',
  },
  { title: 'it drips', fault: (s) => (s.upstream.faults = { drip: 4096 }), ...well },
  {
    title: 'its connection breaks once in a body',
    fault: (s) => (s.upstream.faults = { breakAfter: 20, breaks: 1 }),
    ...well,
  },
  {
    title: 'it falls silent once in a body',
    fault: (s) => (s.upstream.faults = { breakAfter: 20, breaks: 1, silent: true }),
    ...well,
  },
  {
    title: 'its connection always breaks in a body',
    fault: (s) => (s.upstream.faults = { breakAfter: 20 }),
    blob: 'broken',
    manifest: 502,
    tag: 'exact',
    reason: ['Broken', 'Broken', 'Ok'],
  },
  {
    title: 'it always falls silent in a body',
    fault: (s) => (s.upstream.faults = { breakAfter: 20, silent: true }),
    blob: 'broken',
    manifest: 504,
    tag: 'exact',
    reason: ['Timeout', 'Timeout', 'Ok'],
  },
  {
    title: 'it limits the rate and says how long',
    fault: (s) => (s.upstream.faults = { status: 429, retryAfter: '30' }),
    ...away(503),
    reason: 'RateLimited',
    also: async (t, { headers }, scene) => {
      assertLeft(t, headers, 30);
      const { until, asked } = (await scene.report()).upstream;
      const seconds = (Date.parse(until ?? '') - Date.parse(asked ?? '')) / 1000;
      t.is(seconds, 30);
    },
  },
  {
    title: 'it limits the rate and does not say how long',
    fault: (s) => (s.upstream.faults = { status: 429 }),
    ...away(503),
    reason: 'RateLimited',
    also: (t, { headers }) => assertLeft(t, headers, 60),
  },
  ...[500, 502, 503, 504].map((status) => ({
    title: `it answers ${status}`,
    fault: (s: Scene) => (s.upstream.faults = { status }),
    ...away(status === 500 ? 502 : status),
    reason: 'ServerError',
  })),
  ...[401, 403, 404].map((status) => ({
    title: `it answers ${status} to whoever is nobody`,
    fault: (s: Scene) => (s.upstream.faults = { status }),
    blob: status,
    manifest: status,
    tag: status,
    reason: 'Ok',
    also: (t: ExecutionContext, { headers }: Received) => t.is(headers['www-authenticate'], undefined),
  })),
  {
    title: 'it refuses our credentials',
    setUp: { scheme: 'https', credentials: { username: 'puller', password: 'right' } },
    fault: (s) => (s.upstream.auth = { kind: 'basic', username: 'puller', password: 'changed' }),
    blob: 401,
    manifest: 401,
    tag: 401,
    reason: 'Unauthorized',
  },
  {
    title: 'its bytes are not what their digest says',
    setUp: { blobSize: 20_000 },
    fault: (s) => (s.upstream.faults = { corrupt: true }),
    blob: 'broken',
    manifest: 502,
    tag: 'exact',
    reason: ['BadAnswer', 'BadAnswer', 'Ok'],
  },
  {
    title: 'it says another digest than the manifest’s',
    fault: (s) => (s.upstream.faults = { statedDigest: `sha256:${'0'.repeat(64)}` }),
    blob: 'exact',
    manifest: 'exact',
    tag: 'stale',
    reason: ['Ok', 'Ok', 'BadAnswer'],
  },
  {
    title: 'it sends another range than was asked for',
    fault: (s) => (s.upstream.faults = { shiftRange: 1 }),
    blob: 502,
    manifest: 'exact',
    tag: 'exact',
    reason: ['BadAnswer', 'Ok', 'Ok'],
  },
  { title: 'it ignores Range', fault: (s) => (s.upstream.faults = { noRange: true }), ...well },
  { title: 'it says no length', fault: (s) => (s.upstream.faults = { noLength: true }), ...well },
  {
    title: 'it says no length and ignores Range',
    fault: (s) => (s.upstream.faults = { noLength: true, noRange: true }),
    // A length that nobody says is no size for the slices after the first.
    ...well,
  },
  {
    title: 'its signed URLs work once',
    fault: (s) => (s.upstream.redirect = { blobs: true, uses: 1 }),
    ...well,
  },
  {
    title: 'it redirects manifests to a registry that wants a token of its own',
    fault: (s) => {
      s.upstream.redirect = everything;
      s.upstream.cdnAuth = { kind: 'bearer' };
    },
    ...well,
  },
  ...(
    [
      ['plain http', 'http://127.0.0.1:9/'],
      ['a private address', 'https://10.1.2.3/'],
      ['a name that resolves to a private address', 'https://private.test/'],
      ['the metadata service', 'https://169.254.169.254/latest/meta-data/'],
      ['a name that resolves to the metadata service', 'https://metadata.test/latest/meta-data/'],
      ['no URL', 'https://'],
      ['itself, for ever', '?again'],
    ] as const
  ).map(([where, location]) => ({
    title: `it redirects to ${where}`,
    setUp: { scheme: 'https' as const },
    fault: (s: Scene) => (s.upstream.redirect = { blobs: location, manifests: location }),
    ...away(502),
    reason: 'BadAnswer',
  })),
  {
    title: 'a portal answers in its place',
    fault: (s) => (s.upstream.faults = { portal: true }),
    ...away(502),
    reason: 'BadAnswer',
  },
  {
    title: 'it packs what it sends',
    fault: (s) => (s.upstream.faults = { contentEncoding: 'gzip' }),
    blob: 502,
    manifest: 502,
    tag: 'exact',
    reason: ['BadAnswer', 'BadAnswer', 'Ok'],
  },
  {
    title: 'it sets cookies, varies and forbids to keep anything',
    fault: (s) =>
      (s.upstream.faults = {
        headers: { 'Set-Cookie': 'session=cookie-of-somebody', Vary: '*', 'Cache-Control': 'no-store' },
      }),
    ...well,
    also: (t, { headers }) => t.is(headers['set-cookie'], undefined),
  },
  {
    title: 'its token server is away',
    fault: (s) => (s.upstream.auth = { kind: 'bearer', realm: 'http://127.0.0.1:9/token' }),
    ...away(502),
    reason: 'Refused',
  },
  {
    title: 'its token server answers 500',
    fault: (s) => (s.upstream.auth = { kind: 'bearer', tokenStatus: 500 }),
    ...away(502),
    reason: 'TokenServer',
  },
  {
    title: 'its token server refuses nobody in particular',
    fault: (s) => (s.upstream.auth = { kind: 'bearer', tokenStatus: 401 }),
    blob: 401,
    manifest: 401,
    tag: 401,
    reason: 'Ok',
  },
  {
    title: 'its token server refuses our credentials',
    setUp: { scheme: 'https', credentials: { username: 'puller', password: 'right' } },
    fault: (s) => {
      const realm = `${s.origin}/token`;
      s.upstream.auth = { kind: 'bearer', username: 'puller', password: 'changed', realm };
    },
    blob: 401,
    manifest: 401,
    tag: 401,
    reason: 'Unauthorized',
  },
  {
    title: 'its token server limits the rate',
    fault: (s) => (s.upstream.auth = { kind: 'bearer', tokenStatus: 429 }),
    ...away(503),
    reason: 'RateLimited',
  },
  {
    title: 'its token server answers with a page',
    fault: (s) => (s.upstream.auth = { kind: 'bearer', tokenBody: '<html>Welcome</html>' }),
    ...away(502),
    reason: 'TokenServer',
  },
  {
    title: 'its token server never answers',
    fault: (s) => (s.upstream.auth = { kind: 'bearer', tokenDelayMs: 10_000 }),
    ...away(504),
    reason: 'Timeout',
  },
  ...([407, 403, 502] as const).map((status) => ({
    title: `the egress proxy answers ${status}`,
    setUp: { scheme: 'https' as const, throughProxy: true },
    fault: (s: Scene) => {
      s.proxy.status = status;
      s.upstream.closeConnections();
    },
    ...away(502),
    reason: 'Proxy',
  })),
  {
    title: 'the egress proxy is away',
    setUp: { scheme: 'https', throughProxy: true },
    fault: (s) => s.proxy.close(),
    ...away(502),
    reason: 'Proxy',
  },
];

let world: FaultWorld;

test.before(async () => {
  world = await startFaultWorld(
    rows.map(({ setUp }, index) => ({
      scheme: 'http',
      blobSize: 150_000,
      throughProxy: false,
      mirror: {},
      ...setUp,
      name: `row-${index}`,
    })),
  );
});

test.after.always(() => world?.close());

for (const [index, row] of rows.entries()) {
  const outcomes = `blob ${row.blob}, manifest ${row.manifest}, tag ${row.tag}`;
  test(`the upstream: ${row.title} (${outcomes})`, async (t) => {
    const scene = world.scene(`row-${index}`);
    await row.fault(scene);
    const reasons = typeof row.reason === 'string' ? [row.reason, row.reason, row.reason] : row.reason;
    await checkCold(t, row, scene, { wanted: scene.coldBlob, outcome: row.blob, reason: reasons[0]! });
    await checkCold(t, row, scene, {
      wanted: scene.coldManifest,
      outcome: row.manifest,
      reason: reasons[1]!,
    });
    await checkTag(t, row, scene, reasons[2]!);
    await checkWarm(t, scene, reasons[2]!);
    for (const { headers } of scene.entries()) t.notRegex(headers, /set-cookie|authorization|bearer/i);
  });
}

/** What is left of `seconds`: a second question is answered from what the first one learned. */
function assertLeft(t: ExecutionContext, headers: Received['headers'], seconds: number): void {
  const left = Number(headers['retry-after']);
  t.true(left > seconds / 2 && left <= seconds, `${left} s`);
}

async function checkCold(
  t: ExecutionContext,
  row: Row,
  scene: Scene,
  { wanted, outcome, reason }: { wanted: Wanted; outcome: Outcome; reason: string },
): Promise<void> {
  const answer = await scene.get(wanted);
  checkAnswer(t, answer, wanted, outcome);
  await row.also?.(t, answer, scene);
  t.is((await scene.report()).upstream.reason, reason, wanted.path);
  const kept = scene.entries().filter(({ key, status }) => key.includes(wanted.digest) && status < 300);
  if (outcome === 'exact') t.true(Buffer.concat(kept.map(({ body }) => body)).length > 0, 'nothing was kept');
  // Slices that came whole before a later one failed are right, and stay.
  for (const { body } of kept) t.true(wanted.bytes.includes(body), 'other bytes were kept');
  if (outcome === 'broken' || typeof outcome === 'number') {
    t.true(
      Buffer.concat(kept.map(({ body }) => body)).length < wanted.bytes.length,
      'kept as if it were whole',
    );
  }
}

async function checkTag(t: ExecutionContext, { tag }: Row, scene: Scene, reason: string): Promise<void> {
  const answer = await eventually(
    async () => {
      const answer = await scene.get(scene.warmTag);
      assert.notEqual(answer.headers['x-cache-status'], 'HIT');
      return answer;
    },
    { interval: 100 },
  );
  checkAnswer(t, answer, scene.warmTag, tag);
  const { upstream, stale } = await scene.report();
  t.is(upstream.reason, reason, 'tag');
  t.is(stale.tags, tag === 'stale' ? 1 : 0);
  t.is(
    answer.headers['x-cache-status'] === 'STALE',
    tag === 'stale',
    String(answer.headers['x-cache-status']),
  );
}

/** What is kept by digest is served whatever the upstream does, and nobody asks it. */
async function checkWarm(t: ExecutionContext, scene: Scene, reason: string): Promise<void> {
  const before = (await scene.report()).counters;
  for (const wanted of [scene.warmManifest, scene.warmBlob]) {
    const answer = await scene.get(wanted);
    checkAnswer(t, answer, wanted, 'exact');
    t.is(answer.headers['x-cache-status'], 'HIT');
  }
  const { upstream, counters } = await scene.report();
  t.is(upstream.reason, reason);
  t.deepEqual(counters, before);
}

function checkAnswer(t: ExecutionContext, answer: Received, wanted: Wanted, outcome: Outcome): void {
  const { status, body, complete, headers } = answer;
  const said = `${wanted.path}: ${status} ${headers['x-cache-status']} ${complete} ${body.subarray(0, 200)}`;
  if (outcome === 'broken') {
    t.true(status >= 500 || !complete, said);
    return;
  }
  t.true(complete, said);
  t.is(status, typeof outcome === 'number' ? outcome : 200, said);
  if (typeof outcome !== 'number') t.true(body.equals(wanted.bytes), said);
  else t.truthy(JSON.parse(body.toString()).errors[0].code, said);
}
