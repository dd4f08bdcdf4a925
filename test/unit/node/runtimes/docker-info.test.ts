import * as fs from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { dockerInfo, parseInfo } from '../../../../src/node/runtimes/docker-info.ts';

async function serve(t: ExecutionContext, answer: RequestListener): Promise<string> {
  const dir = fs.mkdtempSync(join(tmpdir(), 'docker-info-'));
  const server = createServer(answer);
  t.teardown(() => server.close());
  t.teardown(() => fs.rmSync(dir, { recursive: true, force: true }));
  const path = join(dir, 'sock');
  await new Promise<void>((resolve) => server.listen(path, resolve));
  return path;
}

test('Docker 29 with containerd’s image store, and one without, are told apart', async (t) => {
  const snapshotter = [['driver-type', 'io.containerd.snapshotter.v1']];
  const asked: unknown[] = [];
  const say = (info: object) =>
    serve(t, (request, response) => {
      asked.push(request.url);
      response.end(JSON.stringify(info));
    });
  t.deepEqual(await dockerInfo(await say({ ServerVersion: '29.0.1', DriverStatus: snapshotter })), {
    version: '29.0.1',
    containerdStore: true,
  });
  const graph = [
    ['Backing Filesystem', 'extfs'],
    ['driver-type', 'other'],
  ];
  t.deepEqual(await dockerInfo(await say({ ServerVersion: '28.5.2', DriverStatus: graph })), {
    version: '28.5.2',
    containerdStore: false,
  });
  t.deepEqual(asked, ['/info', '/info']);
});

test('an answer without a release, or none, is undefined', async (t) => {
  for (const body of ['', '{', '[]', 'null', '{}', '{"ServerVersion":29}', '{"ServerVersion":"dev"}'])
    t.is(await dockerInfo(await serve(t, (_, response) => void response.end(body))), undefined);
  const failing = await serve(
    t,
    (_, response) => void response.writeHead(500).end('{"ServerVersion":"29.0.1"}'),
  );
  t.is(await dockerInfo(failing), undefined);
  const cut = await serve(t, (_, response) => {
    response.writeHead(200, { 'content-length': 100 }).write('{"ServerVersion":"29.0.1"}');
    setTimeout(() => response.destroy(), 50);
  });
  t.is(await dockerInfo(cut), undefined);
  const endless = await serve(t, (_, response) => {
    response.on('error', () => undefined);
    const more = () =>
      response.write('x'.repeat(100_000), () => void (response.destroyed || setImmediate(more)));
    more();
  });
  t.is(await dockerInfo(endless), undefined);
  t.is(await dockerInfo('/dev/null/no'), undefined);
});

test('whatever its status pairs are, they are read', (t) => {
  for (const DriverStatus of [null, 'x', [], [null], [['driver-type']], { a: 1 }])
    t.deepEqual(parseInfo(JSON.stringify({ ServerVersion: '20.10.24+dfsg1', DriverStatus })), {
      version: '20.10.24',
      containerdStore: false,
    });
});
