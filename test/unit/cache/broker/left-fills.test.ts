import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, get, type IncomingMessage } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { type LeftFill, LeftFills } from '../../../../src/cache/broker/left-fills.ts';
import { createLogger } from '../../../../src/observe/log.ts';
import { ask, mirrorOf, sliceBytes, startBroker } from '../../../support/broker.ts';
import { eventually } from '../../../support/eventually.ts';
import { startScriptableUpstream } from '../../../support/scriptable-upstream.ts';

const fill: LeftFill = {
  method: 'GET',
  masquerade: 'mirror.test',
  path: 'a/b/blobs/sha256:1',
  headers: {
    range: 'bytes=0-9',
    accept: '*/*',
    authorization: 'Basic x',
    'x-address-kind': 'plain',
    cookie: 'a=b',
  },
};

test('asks past the cache for the same slice, with what decides the key and nothing else of the client’s', async (t) => {
  const { seen, leftFills } = await start(t, [206]);
  await leftFills.fetch(fill);
  const [asked] = seen;
  t.is(asked?.url, '/v2/mirror.test/a/b/blobs/sha256:1');
  const { range, accept, authorization, 'x-registry-refresh': refresh, cookie } = asked?.headers ?? {};
  t.deepEqual(
    [range, accept, authorization, refresh, cookie],
    ['bytes=0-9', '*/*', 'Basic x', '1', undefined],
  );
});

test('tries again while the upstream does not answer', async (t) => {
  const { seen, leftFills } = await start(t, [502, 404, 200]);
  await leftFills.fetch({ ...fill, method: 'HEAD' });
  t.deepEqual(
    seen.map(({ method }) => method),
    ['HEAD', 'HEAD', 'HEAD'],
  );
});

test('what it asked itself is not asked for by it once more', async (t) => {
  const { seen, leftFills } = await start(t, [200]);
  await leftFills.fetch({
    ...fill,
    headers: { ...fill.headers, 'x-address-kind': 'local', 'x-registry-refresh': '1' },
  });
  t.is(seen.length, 0);
});

test('it ends with the broker, and without an nginx', async (t) => {
  const stop = new AbortController();
  const socketPath = () => join(tmpdir(), 'nobody', 'local.sock');
  const leftFills = new LeftFills({
    socketPath,
    log: createLogger({ level: 'silent' }),
    signal: stop.signal,
  });
  const ended = leftFills.fetch(fill);
  setTimeout(() => stop.abort(), 50);
  await t.notThrowsAsync(ended);
});

for (const [how, drip] of [
  ['slowly', 1000],
  ['faster than it is read', sliceBytes],
] as const) {
  test(`of what nginx leaves only that is fetched again which it keeps, sent ${how}`, async (t) => {
    const upstream = await startScriptableUpstream();
    t.teardown(() => upstream.close());
    const broker = await startBroker(t, [mirrorOf(`http://${upstream.host}`)]);
    const seen = await listen(t, join(broker.dir, 'local.sock'), [206, 206]);
    const leave = async (digest: string, beforeAnswer: () => Promise<unknown>) => {
      upstream.seen.length = 0;
      const path = `/m/v2/a/b/blobs/${digest}`;
      const range = `bytes=0-${sliceBytes - 1}`;
      const asked = get({ socketPath: broker.socket, path, headers: { range }, agent: false });
      await eventually(() => assert.equal(upstream.seen.length, 1));
      await beforeAnswer();
      const [answer] = (await once(asked, 'response')) as [IncomingMessage];
      asked.destroy();
      return answer.headers['x-accel-expires'];
    };
    upstream.faults = { delayMs: 300, drip };
    const [one, other] = [randomBytes(sliceBytes), randomBytes(sliceBytes)].map((bytes) =>
      upstream.addBlob(bytes),
    );
    const purge = () => ask(broker.socket, '/-/forget', {}, 'POST', JSON.stringify({ mirror: 'm' }));
    t.is(await leave(one ?? '', purge), '0');
    t.not(await leave(other ?? '', async () => {}), '0');
    await eventually(() => assert.ok(seen.length > 0));
    t.deepEqual(
      seen.map(({ url }) => url?.endsWith(other ?? '')),
      [true],
    );
  });
}

async function start(t: ExecutionContext, statuses: number[]) {
  const dir = mkdtempSync(join(tmpdir(), 'left-fills-'));
  const socketPath = () => join(dir, 'local.sock');
  const seen = await listen(t, socketPath(), statuses);
  const stop = new AbortController();
  t.teardown(() => {
    stop.abort();
    rmSync(dir, { recursive: true });
  });
  const log = createLogger({ level: 'silent' });
  return { seen, leftFills: new LeftFills({ socketPath, log, signal: stop.signal }) };
}

/** An nginx that answers with these, then with 500. */
async function listen(t: ExecutionContext, path: string, statuses: number[]): Promise<IncomingMessage[]> {
  const seen: IncomingMessage[] = [];
  const server = createServer((request, response) => {
    seen.push(request);
    response.writeHead(statuses.shift() ?? 500).end();
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  t.teardown(() => server.close());
  return seen;
}
