import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { RemoteVolume } from '../../../../../src/cache/broker/store/remote-volume.ts';
import { elapsedMs } from '../../../../../src/registry/elapsed.ts';

test('while the first process does not answer, who asks waits for it once and not for all before', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'remote-'));
  t.teardown(() => rmSync(dir, { recursive: true }));
  const sockets = new Set<Socket>();
  const server = createServer((socket) => sockets.add(socket.on('error', () => {})));
  const first = join(dir, 'first.sock');
  await once(server.listen(first), 'listening');
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const { signal } = new AbortController();
  const volume = new RemoteVolume({
    first: () => first,
    own: () => join(dir, 'own.sock'),
    outstanding: () => 0,
    signal,
    elapsed: elapsedMs,
  });
  const wish = { mirror: 'm', bytes: 1 };
  const startedAt = performance.now();
  const answers = await Promise.all(Array.from({ length: 20 }, () => volume.decide(wish, () => t.fail())));
  t.deepEqual([...new Set(answers)], [undefined]);
  t.true(performance.now() - startedAt < 10_000);
  t.is(sockets.size, 1);
});
