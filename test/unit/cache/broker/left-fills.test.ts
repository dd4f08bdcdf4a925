import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { type LeftFill, LeftFills } from '../../../../src/cache/broker/left-fills.ts';
import { createLogger } from '../../../../src/observe/log.ts';

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

async function start(t: ExecutionContext, statuses: number[]) {
  const dir = mkdtempSync(join(tmpdir(), 'left-fills-'));
  const socketPath = () => join(dir, 'local.sock');
  const seen: IncomingMessage[] = [];
  const server = createServer((request, response) => {
    seen.push(request);
    response.writeHead(statuses.shift() ?? 500).end();
  });
  await new Promise<void>((resolve) => server.listen(socketPath(), resolve));
  const stop = new AbortController();
  t.teardown(() => {
    stop.abort();
    server.close();
    rmSync(dir, { recursive: true });
  });
  const log = createLogger({ level: 'silent' });
  return { seen, leftFills: new LeftFills({ socketPath, log, signal: stop.signal }) };
}
