import { EventEmitter } from 'node:events';
import type { ServerResponse } from 'node:http';
import test from 'ava';
import { Reservations } from '../../../../../src/cache/broker/store/reservations.ts';

const mib = 2 ** 20;

/** An answer that is being sent; only what is looked at. */
class Sending extends EventEmitter {
  readonly socket = { bytesWritten: 1_000 };
  destroyed = false;

  get response(): ServerResponse {
    return this as unknown as ServerResponse;
  }
}

test('what is promised counts until it is sent, but for what may be on its way, and until a moment after the end', (t) => {
  let now = 0;
  const reservations = new Reservations(() => now);
  const sending = new Sending();
  reservations.add(8 * mib, sending.response);
  const before = reservations.outstanding();
  t.true(before >= 8 * mib && before < 8.1 * mib);
  sending.socket.bytesWritten += 6 * mib;
  t.true(reservations.outstanding() >= 2 * mib && reservations.outstanding() < 2.1 * mib);
  sending.socket.bytesWritten += 2 * mib;
  t.true(reservations.outstanding() >= 1.25 * mib, 'nginx may have it in its buffers');
  sending.emit('close');
  sending.socket.bytesWritten += 50 * mib;
  t.true(reservations.outstanding() >= 1.25 * mib);
  now = 5_000;
  t.is(reservations.outstanding(), 0);
});

test('a small answer counts for its size and a block', (t) => {
  const reservations = new Reservations(() => 0);
  reservations.add(500, new Sending().response);
  t.true(reservations.outstanding() < 10_000);
});

test('an answer whose connection is gone counts for a moment only', (t) => {
  let now = 0;
  const reservations = new Reservations(() => now);
  const sending = new Sending();
  sending.destroyed = true;
  reservations.add(mib, sending.response);
  now = 5_000;
  t.is(reservations.outstanding(), 0);
});
