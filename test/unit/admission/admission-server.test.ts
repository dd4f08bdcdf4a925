/** The server around the handler: bounds of bodies, connections that live on, and an end without a call that fails. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { Agent, request } from 'node:https';
import { text } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import { connect } from 'node:tls';
import test, { type ExecutionContext } from 'ava';
import { AdmissionServer } from '../../../src/admission/admission-server.ts';
import type { Body, BodyLimits } from '../../../src/admission/read-body.ts';
import { createAuthority, issueLeaf } from '../../../src/cache/tls/authority.ts';
import { freePorts } from '../../kubernetes/free-ports.ts';
import { eventually } from '../../support/eventually.ts';

const authority = createAuthority({ commonName: 'test', days: 2 });

async function newPair() {
  const { certificatePem: cert, keyPem: key } = await issueLeaf(await authority, {
    names: ['localhost'],
    days: 1,
  });
  return { cert, key, notAfter: new Date() };
}

const usualLimits: BodyLimits = { bytes: 1000, droppedBytes: 100_000, heldBytes: 100_000, ms: 300 };

/** A server that answers what it was given; `answer` may be replaced. */
async function scene(t: ExecutionContext, limits: Partial<BodyLimits> = {}) {
  const [port = 0] = await freePorts(1);
  const state = {
    answer: async (body: Body) => JSON.stringify({ outcome: body.outcome, length: body.text.length }),
  };
  const server = new AdmissionServer({
    port,
    answer: (_path, body) => state.answer(body),
    took: () => undefined,
    pages: { ready: () => true, metrics: async () => ({ type: 'text/plain', text: 'figures' }) },
    bodyLimits: { ...usualLimits, ...limits },
  });
  server.use(await newPair());
  await server.listen();
  const close = () => server.close(50);
  t.teardown(close);
  const { certificatePem: ca } = await authority;
  const agent = new Agent({ ca, keepAlive: true });
  t.teardown(() => agent.destroy());
  const start = (method: string, path: string, how: object = {}) =>
    request({ host: '127.0.0.1', servername: 'localhost', port, method, path, agent, ca, ...how });
  const answerTo = async (sent: ReturnType<typeof request>) => {
    const [response] = (await once(sent, 'response')) as [IncomingMessage];
    return { status: response.statusCode, headers: response.headers, text: await text(response) };
  };
  const ask = (method: string, path: string, body?: string, how: object = {}) => {
    const sent = start(method, path, how);
    sent.end(body);
    return answerTo(sent);
  };
  return { server, port, ca, state, start, ask, answerTo };
}

test('a body within bounds is read as it is', async (t) => {
  const { ask } = await scene(t);
  const { status, text } = await ask('POST', '/rewrite?timeout=10s', 'ü'.repeat(500));
  t.deepEqual([status, JSON.parse(text)], [200, { outcome: 'complete', length: 500 }]);
});

test('a longer one is read and dropped, and answered', async (t) => {
  const { ask } = await scene(t);
  const { status, text } = await ask('POST', '/', 'x'.repeat(50_000));
  t.is(status, 200);
  t.is(JSON.parse(text).outcome, 'tooLong');
});

test('one without end is answered before its end, and its connection closed', async (t) => {
  const { start, answerTo } = await scene(t);
  const sent = start('POST', '/');
  sent.on('error', () => undefined);
  const closed = once(sent, 'close');
  const writing = setInterval(() => sent.write('x'.repeat(30_000)), 5);
  const { status, text } = await answerTo(sent);
  t.is(status, 200);
  t.is(JSON.parse(text).outcome, 'tooLong');
  await closed;
  clearInterval(writing);
});

test('a slow one is answered when its time is over, with what has come', async (t) => {
  const { start, answerTo } = await scene(t);
  const sent = start('POST', '/rewrite', { headers: { 'content-length': 900 } });
  sent.on('error', () => undefined);
  sent.write('12345');
  const { status, text } = await answerTo(sent);
  t.deepEqual([status, JSON.parse(text)], [200, { outcome: 'tooSlow', length: 5 }]);
});

/** Begins bodies that never end, one after the other, each in pieces; returns the outcomes of those that were answered, by their place. */
async function unfinished(
  t: ExecutionContext,
  { start, ask, answerTo }: Awaited<ReturnType<typeof scene>>,
  bodies: readonly (readonly string[])[],
) {
  const outcomes = bodies.map((): string | undefined => undefined);
  for (const [at, pieces] of bodies.entries()) {
    const sent = start('POST', '/rewrite', { headers: { 'transfer-encoding': 'chunked' }, agent: false });
    sent.on('error', () => undefined);
    t.teardown(() => sent.destroy());
    answerTo(sent).then(
      ({ text }) => {
        outcomes[at] = JSON.parse(text).outcome;
      },
      () => undefined,
    );
    await Promise.all(pieces.map((piece) => new Promise((resolve) => sent.write(piece, resolve))));
    // What was sent before it has come by then.
    await ask('POST', '/rewrite', 'x');
  }
  return outcomes;
}

const aMinute = { ms: 60_000 };

test('of bodies that are too much together the oldest large one is given up, and small ones are read', async (t) => {
  const world = await scene(t, { ...aMinute, heldBytes: 5_500 });
  const large = ['x'.repeat(900)];
  const outcomes = await unfinished(t, world, [['small'], ...Array.from({ length: 7 }, () => large)]);
  const { text } = await world.ask('POST', '/rewrite', 'y'.repeat(500));
  t.deepEqual(JSON.parse(text), { outcome: 'complete', length: 500 });
  t.is(outcomes[0], undefined, 'the oldest is small');
  await eventually(async () => assert.deepEqual(new Set(outcomes.slice(1, 5)), new Set(['tooMuch'])));
  t.deepEqual(outcomes.slice(5), [undefined, undefined, undefined]);
});

test('what a body takes besides its bytes counts: one in very small pieces is given up', async (t) => {
  const world = await scene(t, { ...aMinute, heldBytes: 20_000 });
  const outcomes = await unfinished(t, world, [Array.from({ length: 500 }, () => 'x'), ['x'.repeat(900)]]);
  await eventually(async () => assert.deepEqual(outcomes, ['tooMuch', undefined]));
  t.pass();
});

test('bodies that were answered, and those of clients that went away, take no room', async (t) => {
  const world = await scene(t, { heldBytes: 3_000 });
  const slow = world.start('POST', '/rewrite', { headers: { 'content-length': 990 }, agent: false });
  slow.on('error', () => undefined);
  slow.write('12345');
  t.is(JSON.parse((await world.answerTo(slow)).text).outcome, 'tooSlow');
  slow.write('x'.repeat(900));
  const away = world.start('POST', '/rewrite', { headers: { 'content-length': 990 }, agent: false });
  away.on('error', () => undefined);
  away.write('x'.repeat(900));
  await delay(50);
  away.destroy();
  await world.ask('POST', '/rewrite', 'x'.repeat(900));
  t.deepEqual(await unfinished(t, world, [['x'.repeat(900)], ['x'.repeat(900)]]), [undefined, undefined]);
});

test('a client that goes away while it sends leaves nothing', async (t) => {
  const { start, ask } = await scene(t);
  const sent = start('POST', '/rewrite', { headers: { 'content-length': 900 } });
  sent.on('error', () => undefined);
  sent.write('12345');
  await delay(50);
  sent.destroy();
  await delay(900);
  t.is((await ask('POST', '/rewrite', 'x')).status, 200);
});

test('a client that goes away before its answer costs nobody else one', async (t) => {
  const { start, ask, state } = await scene(t);
  const { promise, resolve } = Promise.withResolvers<string>();
  const usual = state.answer;
  state.answer = () => promise;
  const sent = start('POST', '/rewrite');
  sent.on('error', () => undefined);
  sent.end('x');
  await delay(100);
  sent.destroy();
  await delay(100);
  resolve('too late');
  state.answer = usual;
  t.is((await ask('POST', '/rewrite', 'x')).status, 200);
});

test('other paths and methods are refused, health and figures told', async (t) => {
  const { ask } = await scene(t);
  const status = async (method: string, path: string) => (await ask(method, path)).status;
  t.deepEqual(
    [await status('GET', '/'), await status('PUT', '/mutate'), await status('POST', '/clone-image')],
    [405, 405, 404],
  );
  t.deepEqual([await status('GET', '/healthz'), await status('GET', '/readyz?x')], [200, 200]);
  t.is((await ask('GET', '/metrics')).text, 'figures');
  t.is(await status('POST', '/metrics'), 405);
});

test('a head that is too long is refused, and costs nobody else anything', async (t) => {
  const { ask } = await scene(t);
  t.is((await ask('POST', '/rewrite', 'x', { headers: { a: 'x'.repeat(20_000) } })).status, 431);
  t.is((await ask('POST', '/rewrite', 'x')).status, 200);
});

test('TLS 1.1 is refused', async (t) => {
  const { port, ca } = await scene(t);
  const socket = connect({
    port,
    host: '127.0.0.1',
    servername: 'localhost',
    ca,
    minVersion: 'TLSv1.1',
    maxVersion: 'TLSv1.1',
    ciphers: 'DEFAULT@SECLEVEL=0',
  });
  const [error] = await once(socket, 'error');
  t.truthy(error);
});

test('a new certificate is for new connections; those that are open go on', async (t) => {
  const { server, port, ca, ask } = await scene(t);
  const shown = async () => {
    const socket = connect({ port, host: '127.0.0.1', servername: 'localhost', ca });
    await once(socket, 'secureConnect');
    const { serialNumber } = socket.getPeerCertificate();
    socket.destroy();
    return serialNumber;
  };
  await ask('POST', '/rewrite', 'x');
  const before = await shown();
  server.use(await newPair());
  t.not(await shown(), before);
  t.is((await ask('POST', '/rewrite', 'x')).status, 200);
});

test('at the end running calls are answered, and each answer ends its connection', async (t) => {
  const { server, state, ask, port } = await scene(t);
  const { promise, resolve } = Promise.withResolvers<string>();
  const asked = Promise.withResolvers<void>();
  state.answer = () => {
    asked.resolve();
    return promise;
  };
  const running = ask('POST', '/rewrite', 'x');
  await asked.promise;
  const closed = server.close(2_000);
  resolve('"done"');
  const { text, headers } = await running;
  t.is(text, '"done"');
  t.is(headers.connection, 'close');
  await closed;
  await eventually(async () => {
    const socket = connect({ port, host: '127.0.0.1' });
    const [error] = await once(socket, 'error');
    if (error.code !== 'ECONNREFUSED') throw error;
  });
  t.pass();
});

test('an idle connection does not hold up the end', async (t) => {
  const { server, ask } = await scene(t);
  await ask('POST', '/rewrite', 'x');
  const started = performance.now();
  await server.close(200);
  t.true(performance.now() - started < 5_000);
});
