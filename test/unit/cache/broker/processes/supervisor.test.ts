import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { superviseBroker } from '../../../../../src/cache/broker/processes/supervisor.ts';
import { createLogger } from '../../../../../src/observe/log.ts';
import { eventually } from '../../../../support/eventually.ts';

/** A worker's process, whose channel is never heard to end. */
class FakeChild extends EventEmitter {
  readonly connected = true;
  exitCode: number | null = null;
  signalCode: NodeJS.Signals | null = null;
  readonly taken: Socket[] = [];

  send(_message: object, socket: Socket): boolean {
    this.taken.push(socket);
    return true;
  }

  kill(): boolean {
    this.die();
    return true;
  }

  die(): void {
    this.signalCode = 'SIGKILL';
    this.emit('exit', null, this.signalCode);
  }
}

test('a connection that comes when a worker has just died waits for the next one', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'supervisor-'));
  t.teardown(() => rmSync(dir, { recursive: true }));
  const path = join(dir, 'broker.sock');
  const children: FakeChild[] = [];
  const start = () => {
    const child = new FakeChild();
    children.push(child);
    return child as EventEmitter as ChildProcess;
  };
  const stop = new AbortController();
  const log = createLogger({ level: 'silent' });
  t.teardown(() => stop.abort());
  const done = superviseBroker({ sockets: async () => [path], start, log }, stop.signal);
  await eventually(() => assert.equal(children.length, 1));
  children[0]?.emit('message', { ready: true });
  children[0]?.die();
  const nginx = connect(path);
  t.teardown(() => nginx.destroy());
  await once(nginx, 'connect');
  // What it said before it died may be heard only now.
  children[0]?.emit('message', { ready: true });
  await eventually(() => assert.equal(children.length, 2));
  children[1]?.emit('message', { ready: true });
  await eventually(() => assert.equal(children[1]?.taken.length, 1));
  t.is(children[0]?.taken.length, 0);
  stop.abort();
  await done;
});
