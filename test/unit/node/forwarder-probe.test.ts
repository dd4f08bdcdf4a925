import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { createSecureContext } from 'node:tls';
import test, { type ExecutionContext } from 'ava';
import fc from 'fast-check';
import { MirrorWatch } from '../../../src/node/forwarder/mirror-watch.ts';
import {
  doubtedState,
  firstState,
  nextState,
  type ProbeResult,
  probe,
} from '../../../src/node/forwarder/probe.ts';
import { makeAuthority } from '../../support/certificates.ts';
import { eventually } from '../../support/eventually.ts';

const good: ProbeResult = { good: true };
const late: ProbeResult = { good: false, reason: 'Timeout', detail: 'no answer' };
const refused: ProbeResult = { good: false, reason: 'Refused', detail: 'refused' };

test('the first good answer offers an address', (t) => {
  t.deepEqual(offeredAfter(good), [true]);
});

test('after a bad one two good ones in a row are needed', (t) => {
  t.deepEqual(offeredAfter(late, good, good), [false, false, true]);
  t.deepEqual(offeredAfter(late, good, late, good, good), [false, false, false, false, true]);
});

test('two bad ones in a row withdraw it, one does not', (t) => {
  t.deepEqual(offeredAfter(good, late, good, late, late), [true, true, true, true, false]);
});

test('a refused connection withdraws it at once', (t) => {
  t.deepEqual(offeredAfter(good, refused, good, good), [true, false, false, true]);
});

test('a connection that failed counts as one bad answer, however many fail, and never withdraws an address alone', (t) => {
  const offered = nextState(firstState(0), good, 1);
  const doubted = doubtedState(doubtedState(offered));
  t.true(doubted.offered);
  t.false(nextState(doubted, late, 2).offered);
  t.true(nextState(nextState(doubted, good, 2), late, 3).offered);
  t.deepEqual(doubtedState(firstState(0)), firstState(0));
});

test('the reason is that of the last answer that counted, and the time that of the change', (t) => {
  let state = firstState(0);
  state = nextState(state, good, 1);
  state = nextState(state, late, 2);
  t.is(state.reason, 'Answers');
  state = nextState(state, late, 3);
  t.like(state, { offered: false, reason: 'Timeout', detail: 'no answer', since: 3 });
  state = nextState(state, refused, 4);
  t.like(state, { offered: false, reason: 'Refused', since: 3 });
});

test('what is offered changes only on two answers in a row, a refusal or the very first answer', (t) => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom(good, late, refused)), (results) => {
      const offered = offeredAfter(...results);
      return offered.every((now, index) => {
        const before = offered[index - 1] ?? false;
        if (now === before) return true;
        const [last, previous] = [results[index], results[index - 1]];
        return index === 0 || last === refused || last?.good === previous?.good;
      });
    }),
  );
  t.pass();
});

test('an answer of 200 is good, another one and what is no HTTP are not', async (t) => {
  t.deepEqual(await asked((socket) => socket.answers('HTTP/1.1 200 OK\r\n\r\n')), good);
  t.like(await asked((socket) => socket.answers('HTTP/1.1 503 Service Unavailable\r\n\r\n')), {
    reason: 'Status',
    detail: 'status 503',
  });
  t.like(await asked((socket) => socket.answers('SSH-2.0-OpenSSH')), {
    reason: 'Status',
    detail: 'not HTTP',
  });
});

test('a status line that comes in pieces is put together', async (t) => {
  const result = await asked((socket) => {
    socket.emit('secureConnect');
    for (const piece of ['HT', 'TP/1.1 2', '00 OK\r\n']) socket.emit('data', Buffer.from(piece));
  });
  t.deepEqual(result, good);
});

for (const [code, reason] of [
  ['ECONNREFUSED', 'Refused'],
  ['ECONNRESET', 'Failed'],
  ['CERT_HAS_EXPIRED', 'Untrusted'],
  ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'Untrusted'],
  ['SELF_SIGNED_CERT_IN_CHAIN', 'Untrusted'],
  ['ERR_TLS_CERT_ALTNAME_INVALID', 'Untrusted'],
] as const) {
  test(`${code} is ${reason}`, async (t) => {
    t.like(await asked((socket) => socket.emit('error', Object.assign(new Error(code), { code }))), {
      reason,
    });
  });
}

test('a mirror that says nothing is given up after the time it has, and no connection is left', async (t) => {
  const socket = new FakeSocket();
  const result = await ask(socket, 20);
  t.like(result, { good: false, reason: 'Timeout' });
  t.true(socket.destroyed);
});

test('a good answer leaves no connection and one request', async (t) => {
  const socket = new FakeSocket();
  const result = ask(socket);
  socket.answers('HTTP/1.1 200 OK\r\n\r\n');
  t.deepEqual(await result, good);
  t.true(socket.destroyed);
  t.deepEqual(socket.written, [
    'GET /health-check HTTP/1.1\r\nHost: mirror.test\r\nConnection: close\r\n\r\n',
  ]);
});

test('what nginx reaches on its way costs no handshake', async (t) => {
  const { path, written } = await nginxThat(t, (socket) => socket.end('HTTP/1.1 200 OK\r\n\r\n'));
  const direct = new FakeSocket();
  t.deepEqual(await ask(direct, 1000, path), good);
  t.deepEqual(written, ['GET /health-check HTTP/1.1\r\nHost: mirror.test\r\nConnection: close\r\n\r\n']);
  t.deepEqual(direct.written, []);
});

for (const [what, act] of Object.entries<(socket: Socket) => unknown>({
  'closes the connection': (socket) => socket.destroy(),
  'ends it without an answer': (socket) => socket.end(),
  'passes on an error': (socket) => socket.end('HTTP/1.1 503 Service Unavailable\r\n\r\n'),
})) {
  test(`where nginx ${what}, the mirror is asked itself`, async (t) => {
    const { path, written } = await nginxThat(t, act);
    for (const [text, result] of [
      ['HTTP/1.1 200 OK\r\n\r\n', good],
      ['SSH-2.0-OpenSSH', { good: false, reason: 'Status', detail: 'not HTTP' }],
    ] as const) {
      const direct = new FakeSocket();
      direct.whenHeard = () => direct.answers(text);
      t.deepEqual(await ask(direct, 1000, path), result);
    }
    t.is(written.length, 2);
  });
}

test('where nobody listens for nginx, the mirror is asked itself', async (t) => {
  const direct = new FakeSocket();
  direct.whenHeard = () => direct.answers('HTTP/1.1 200 OK\r\n\r\n');
  t.deepEqual(await ask(direct, 1000, '/nowhere/ask.sock'), good);
});

test('nginx and the mirror itself have one time together', async (t) => {
  const { path } = await nginxThat(t, (socket) => setTimeout(() => socket.destroy(), 200));
  const direct = new FakeSocket();
  let asked = false;
  direct.whenHeard = () => {
    asked = true;
  };
  const late = { good: false, reason: 'Timeout', detail: 'no answer within 400 ms' } as const;
  t.deepEqual(await ask(direct, 400, path), late);
  // A busy machine may come to it too late.
  t.is(direct.destroyed, asked);
});

test('what nginx closes after the time is not asked any more', async (t) => {
  const { path } = await nginxThat(t, (socket) => setTimeout(() => socket.destroy(), 100));
  const direct = new FakeSocket();
  let asked = 0;
  direct.whenHeard = () => {
    asked += 1;
  };
  t.like(await ask(direct, 50, path), { reason: 'Timeout' });
  await delay(200);
  t.is(asked, 0);
});

test('an offered mirror is asked by nginx, and now and then by a whole handshake', async (t) => {
  const { path, written } = await nginxThat(t, (socket) => socket.end('HTTP/1.1 200 OK\r\n\r\n'));
  const dir = mkdtempSync(join(tmpdir(), 'watch-'));
  t.teardown(() => rmSync(dir, { recursive: true }));
  const { file: caFile } = await makeAuthority(dir);
  let handshakes = 0;
  const connect = () => {
    const direct = new FakeSocket();
    handshakes += 1;
    setImmediate(() => direct.answers('HTTP/1.1 200 OK\r\n\r\n'));
    return direct as unknown as Socket;
  };
  const mirror = { name: 'm', port: 1, addresses: ['127.0.0.1:1'], serverName: 'mirror.test', caFile };
  const watch = new MirrorWatch(mirror, { connect, intervalMs: 1, socketOf: () => path }, () => {});
  await eventually(() => assert(written.length >= 58));
  await watch.stop();
  t.is(handshakes, 1 + Math.floor((handshakes + written.length) / 30));
  t.deepEqual(watch.offered, mirror.addresses);
});

function offeredAfter(...results: ProbeResult[]): boolean[] {
  let state = firstState(0);
  return results.map((result, index) => {
    state = nextState(state, result, index);
    return state.offered;
  });
}

/** A unix socket on which `act` follows each question. */
async function nginxThat(
  t: ExecutionContext,
  act: (socket: Socket) => unknown,
): Promise<{ path: string; written: string[] }> {
  const dir = mkdtempSync(join(tmpdir(), 'ask-'));
  t.teardown(() => rmSync(dir, { recursive: true }));
  const written: string[] = [];
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.on('data', (piece: Buffer) => {
      written.push(piece.toString());
      act(socket);
    });
  });
  const path = join(dir, 'ask.sock');
  await once(server.listen(path), 'listening');
  t.teardown(() => server.close());
  return { path, written };
}

class FakeSocket extends EventEmitter {
  readonly written: string[] = [];
  destroyed = false;
  whenHeard = () => {};

  write(text: string): void {
    this.written.push(text);
  }

  destroy(): void {
    this.destroyed = true;
  }

  answers(text: string): void {
    this.emit('secureConnect');
    this.emit('data', Buffer.from(text));
  }
}

function ask(direct: FakeSocket, timeoutMs = 1000, socket?: string): Promise<ProbeResult> {
  const secureContext = createSecureContext();
  const target = { address: '127.0.0.1:1', serverName: 'mirror.test', secureContext };
  const connect = () => {
    setImmediate(direct.whenHeard);
    return direct as unknown as Socket;
  };
  return probe({ ...target, ...(socket !== undefined && { socket }) }, { connect, timeoutMs });
}

async function asked(act: (socket: FakeSocket) => unknown): Promise<ProbeResult> {
  const socket = new FakeSocket();
  const result = ask(socket);
  act(socket);
  return result;
}
