/** What nobody should send: every answer is 200, well-formed and allows, and the webhook goes on. */

import { once } from 'node:events';
import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { connect, type TLSSocket } from 'node:tls';
import test, { type ExecutionContext } from 'ava';
import fc from 'fast-check';
import { Agent, request } from 'undici';
import { createAuthority, type KeyPair } from '../../src/cache/tls/authority.ts';
import { formatReference, isImageReference } from '../../src/image/reference.ts';
import { imageMaps, namespaces } from '../../src/rewriting/resource-types.ts';
import { kubeconfig } from '../kubernetes/kube-config.ts';
import { type FakeApiServer, startFakeApiServer } from '../support/fake-api-server.ts';
import { applyPatch } from '../support/json-patch.ts';
import { nearReferences, references } from '../support/reference-arbitraries.ts';
import { hostileReviews, pod, reviewOf } from '../support/reviews.ts';
import { removeFolder, startWebhook, type WebhookProcess } from '../support/webhook-process.ts';

let folder: string;
let api: FakeApiServer;
let authority: KeyPair;
let webhook: WebhookProcess;
let agent: Agent;
let environment: Record<string, string>;

test.before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bad-input-'));
  api = await startFakeApiServer([namespaces, imageMaps]);
  const labels = { 'k8s.twr.io/imageswap': 'enabled' };
  api.state.create(namespaces, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'team', labels } });
  authority = await createAuthority({ commonName: 'test', days: 2 });
  const config = join(folder, 'kubeconfig');
  await writeFile(config, kubeconfig(api.url, '', { token: 'none' }));
  const maps = join(folder, 'maps.conf');
  await writeFile(maps, 'default::swap.local/all\nbad.io::no_.local\n[REPLACE]*pattern*::pattern.local');
  environment = { KUBECONFIG: config, IMAGESWAP_MAPS_FILE: maps, LOG_LEVEL: 'info' };
  webhook = await startWebhook(folder, { authority, environment });
  await webhook.untilReady();
  agent = new Agent({
    connect: { ca: authority.certificatePem },
    bodyTimeout: 60_000,
    headersTimeout: 60_000,
  });
});
test.afterEach.always((t) => {
  if (!t.passed) t.log(webhook.log().slice(-3_000));
});
test.after.always(async () => {
  await agent?.destroy();
  await webhook?.kill();
  await api?.stop();
  await removeFolder(folder);
});

interface Answer {
  readonly kind: string;
  readonly apiVersion: string;
  readonly response: { uid: string; allowed: boolean; patch?: string; warnings?: string[] };
}

/** Sends a body; fails where the answer is not 200, well-formed, and allows. */
async function send(
  body: string | Buffer,
  path = '/rewrite',
  { port } = webhook,
): Promise<Answer['response']> {
  const { statusCode, body: answer } = await request(`https://127.0.0.1:${port}${path}`, {
    dispatcher: agent,
    method: 'POST',
    body,
  });
  const text = await answer.text();
  if (statusCode !== 200) throw new Error(`${statusCode} ${text}`);
  const { kind, apiVersion, response } = JSON.parse(text) as Answer;
  if (kind !== 'AdmissionReview' || !apiVersion.startsWith('admission.k8s.io/v1') || !response.allowed)
    throw new Error(text);
  return response;
}

const uid = '6b1f3c8e-3a5d-4c55-9c1a-1f0d2a7d8e11';
const mebibyte = 2 ** 20;

/** A review of so many bytes. */
function reviewOfSize(bytes: number): string {
  const make = (filling: string) =>
    JSON.stringify(reviewOf(pod({ a: 'nginx' }, { annotations: { filling } }), { uid }));
  return make('x'.repeat(bytes - make('').length));
}

test.serial(
  'a review of 7 MiB is rewritten; one of a byte more, of 8 and of 40 MiB are allowed as they are',
  async (t) => {
    const whole = await send(reviewOfSize(7 * mebibyte));
    t.is(whole.uid, uid);
    t.truthy(whole.patch);
    for (const size of [7 * mebibyte + 1, 8 * mebibyte, 40 * mebibyte])
      t.deepEqual(await send(reviewOfSize(size)), { uid, allowed: true });
  },
);

test.serial('one without end has an answer after 64 MiB', async (t) => {
  const head = `{"request":{"uid":"${uid}","object":{"a":"`;
  const socket = await open();
  socket.write(`POST /rewrite HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n`);
  const chunk = (text: string) => `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`;
  socket.write(chunk(head));
  const filling = chunk('x'.repeat(mebibyte));
  let isAnswered = false;
  const answered = textOf(socket).then((text) => {
    isAnswered = true;
    return text;
  });
  for (let sent = 0; sent < 80 && !isAnswered; sent += 1)
    if (!socket.write(filling)) await Promise.race([once(socket, 'drain'), answered]);
  t.regex(await answered, new RegExp(`^HTTP/1.1 200 .*"uid":"${uid}","allowed":true`, 's'));
});

test.serial('reviews cut off anywhere are allowed, with their uid where it has come', async (t) => {
  const whole = JSON.stringify(reviewOf(pod({ a: 'nginx', b: 'ü' }), { uid }));
  const known = whole.indexOf(uid) + uid.length;
  for (let length = 0; length < whole.length; length += 7)
    t.is((await send(whole.slice(0, length))).uid, length > known ? uid : '', `${length}`);
});

const rubbish: readonly [string, string | Buffer][] = [
  ['nothing', ''],
  ['bytes that are no text', Buffer.from([0xff, 0xfe, 0x00, 0x80])],
  ['YAML', 'kind: AdmissionReview'],
  ['deep nesting', `{"request":{"object":${'['.repeat(3_000_000)}${']'.repeat(3_000_000)}}}`],
  ['nesting that never ends', '{"request":'.repeat(500_000)],
  ['quotes', '"'.repeat(5 * mebibyte)],
  ['backslashes', `"${'\\'.repeat(5 * mebibyte)}`],
];

for (const [what, body] of rubbish) {
  test.serial(`${what} is answered, at every path`, async (t) => {
    for (const path of ['/rewrite', '/mutate', '/image-mapper', '/'])
      t.deepEqual(await send(body, path), { uid: '', allowed: true });
  });
}

test.serial('reviews with anything in any place are answered, and patches apply', async (t) => {
  await fc.assert(
    fc.asyncProperty(hostileReviews, async (review) => {
      const { patch } = await send(JSON.stringify(review));
      if (patch === undefined) return;
      const { request } = JSON.parse(JSON.stringify(review));
      applyPatch(request.object, JSON.parse(Buffer.from(patch, 'base64').toString()));
    }),
    { numRuns: 300 },
  );
  t.is(
    await webhook.metric(
      'registry_mirror_webhook_reviews_total{path="rewrite",operation="CREATE",result="failed"}',
    ),
    0,
  );
});

test.serial('images of every illegal form stay, or become legal ones', async (t) => {
  const images = fc.oneof(
    nearReferences,
    fc.string({ unit: 'binary', maxLength: 40 }),
    references.map((reference) => `${formatReference(reference)} `),
    references.map((reference) => formatReference(reference).toUpperCase()),
    fc.constantFrom(
      'bad.io/x',
      'a'.repeat(5_000),
      'pattern',
      '/pattern',
      'pattern/',
      '$(x)',
      '<script>',
      'a\0b',
      '::',
      '@',
      '-',
    ),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(images, { minLength: 1, maxLength: 20 }), async (several) => {
      const object = pod(Object.fromEntries(several.map((image, index) => [`c${index}`, image])));
      const sent = JSON.parse(JSON.stringify(object)) as typeof object;
      const { patch } = await send(JSON.stringify(reviewOf(object)));
      const made =
        patch === undefined ? sent : applyPatch(sent, JSON.parse(Buffer.from(patch, 'base64').toString()));
      for (const [index, { image }] of made.spec.containers.entries())
        if (image !== sent.spec.containers[index]!.image && !isImageReference(image)) throw new Error(image);
    }),
    { numRuns: 200 },
  );
  t.pass();
});

test.serial('a pod of ten thousand containers is rewritten', async (t) => {
  const images = Object.fromEntries(
    Array.from({ length: 10_000 }, (_, index) => [`c${index}`, `quay.io/image-${index}:1`]),
  );
  const started = performance.now();
  const { patch = '' } = await send(JSON.stringify(reviewOf(pod(images), { uid })));
  t.log(`${(performance.now() - started).toFixed(0)} ms`);
  const operations = JSON.parse(Buffer.from(patch, 'base64').toString());
  t.is(operations.length, 10_000);
  t.is(operations.at(-1).value, 'swap.local/all/image-9999:1');
});

test.serial('ten thousand warnings become a few', async (t) => {
  const images = Object.fromEntries(
    Array.from({ length: 10_000 }, (_, index) => [`c${index}`, `bad.io/x-${index}`]),
  );
  const { warnings = [] } = await send(JSON.stringify(reviewOf(pod(images))));
  t.is(warnings.length, 16);
  t.is(warnings.at(-1), '9985 more images stay as they are');
});

async function open({ port } = webhook): Promise<TLSSocket> {
  const socket = connect({
    port,
    host: '127.0.0.1',
    servername: 'localhost',
    ca: authority.certificatePem,
  });
  socket.on('error', () => undefined);
  await once(socket, 'secureConnect');
  return socket;
}

/** Bytes. */
function residentMemory(replica: WebhookProcess): Promise<number> {
  return replica.metric('process_resident_memory_bytes');
}

/** What comes until there is an end of a JSON text. */
async function textOf(socket: TLSSocket): Promise<string> {
  let text = '';
  for await (const chunk of socket) {
    text += chunk;
    if (text.endsWith('}}')) break;
  }
  return text;
}

test.serial('a body that comes slower than it may is answered when its time is over', async (t) => {
  const socket = await open();
  const body = `{"request":{"uid":"${uid}",`;
  socket.write(`POST /rewrite HTTP/1.1\r\nhost: x\r\ncontent-length: 5000\r\n\r\n${body}`);
  const dripping = setInterval(() => socket.write(' '), 500);
  t.regex(await textOf(socket), new RegExp(`^HTTP/1.1 200 .*"uid":"${uid}","allowed":true`, 's'));
  clearInterval(dripping);
});

test.serial(
  'five hundred idle connections, and as many that never finish a request, keep nobody out',
  async (t) => {
    const sockets = await Promise.all(Array.from({ length: 1_000 }, () => open()));
    t.teardown(() => {
      for (const socket of sockets) socket.destroy();
    });
    for (const socket of sockets.slice(500))
      socket.write('POST /rewrite HTTP/1.1\r\nhost: x\r\ncontent-length: 99\r\n\r\n{');
    await delay(200);
    const started = performance.now();
    const answers = await Promise.all(
      Array.from({ length: 50 }, () => send(JSON.stringify(reviewOf(pod({ a: 'quay.io/a' }), { uid })))),
    );
    t.true(answers.every((answer) => answer.uid === uid && answer.patch !== undefined));
    const took = performance.now() - started;
    t.log(`50 answers in ${took.toFixed(0)} ms beside 1000 connections`);
    t.true(took < 10_000);
  },
);

/** A replica that nothing was asked of before. */
async function fresh(t: ExecutionContext): Promise<WebhookProcess> {
  const replica = await startWebhook(folder, { authority, environment });
  t.teardown(() => replica.kill());
  await replica.untilReady();
  return replica;
}

test.serial('sixty bodies of 6.9 MiB that never end keep neither memory nor reviews from it', async (t) => {
  const replica = await fresh(t);
  const before = await residentMemory(replica);
  const filling = Buffer.alloc(6.9 * mebibyte, ' ');
  let most = 0;
  for (let begun = 0; begun < 60; begun += 5) {
    const sockets = await Promise.all(Array.from({ length: 5 }, () => open(replica)));
    t.teardown(() => {
      for (const socket of sockets) socket.destroy();
    });
    await Promise.all(sockets.map((socket) => sendUnfinished(socket, filling)));
    const { patch } = await send(JSON.stringify(reviewOf(pod({ a: 'quay.io/a' }))), '/rewrite', replica);
    t.truthy(patch);
    most = Math.max(most, await residentMemory(replica));
  }
  const grown = (most - before) / mebibyte;
  t.log(`${grown.toFixed(0)} MiB more than ${(before / mebibyte).toFixed(0)}`);
  // The budget, what the connections take, and what is not collected yet; the bodies are 414.
  t.true(grown < 200);
});

/** Begins a review of 7 MiB and sends so much of it, or until nobody takes more. */
async function sendUnfinished(socket: TLSSocket, filling: Buffer): Promise<void> {
  socket.resume();
  socket.write(`POST /rewrite HTTP/1.1\r\nhost: x\r\ncontent-length: ${7 * mebibyte}\r\n\r\n`);
  await new Promise<void>((resolve) => socket.once('close', resolve).write(filling, () => resolve()));
}

test.serial(
  'connections beyond twelve hundred are ended at once, and those that are open go on',
  async (t) => {
    const replica = await fresh(t);
    const sockets: TLSSocket[] = [];
    t.teardown(() => {
      for (const socket of sockets) socket.destroy();
    });
    const review = JSON.stringify(reviewOf(pod({ a: 'quay.io/a' }), { uid }));
    await send(review, '/rewrite', replica);
    let refused = 0;
    for (let round = 0; round < 13; round += 1) {
      const opened = await Promise.allSettled(Array.from({ length: 100 }, () => open(replica)));
      for (const each of opened) {
        if (each.status === 'rejected') refused += 1;
        else sockets.push(each.value);
      }
    }
    t.log(
      `${((await residentMemory(replica)) / mebibyte).toFixed(0)} MiB with ${sockets.length} connections`,
    );
    t.is(refused, 101);
    t.truthy((await send(review, '/rewrite', replica)).patch);
  },
);

test.serial('what is no HTTP, and connections that break off, leave it as it was', async (t) => {
  for (const bytes of [
    '\0\0\0',
    'GET',
    'POST / HTTP/9.9\r\n\r\n',
    `POST / HTTP/1.1\r\nx: ${'y'.repeat(100_000)}`,
  ]) {
    const socket = await open();
    socket.write(bytes);
    await delay(20);
    socket.destroy();
  }
  t.is((await send(JSON.stringify(reviewOf(pod({ a: 'quay.io/a' }), { uid })))).uid, uid);
  t.true(webhook.running());
  t.false(/"level":"error"/.test(webhook.log()), webhook.log());
});
