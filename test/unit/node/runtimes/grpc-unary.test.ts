import * as fs from 'node:fs';
import { createServer, type Http2Server, type ServerHttp2Stream } from 'node:http2';
import { createServer as createNetServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import test, { type ExecutionContext } from 'ava';
import { containerdVersion } from '../../../../src/node/runtimes/containerd-version.ts';
import { crioVersion } from '../../../../src/node/runtimes/crio-version.ts';
import { callUnary, GrpcError, largestAnswer } from '../../../../src/node/runtimes/grpc-unary.ts';

const method = '/a.B/C';

/** A server on a unix socket of its own; `answer` gets each call with its path and its framed message. */
async function serve(
  t: ExecutionContext,
  answer: (stream: ServerHttp2Stream, path: string, message: Buffer) => void,
): Promise<string> {
  const server: Http2Server = createServer();
  server.on('stream', async (stream, headers) => {
    stream.on('error', () => undefined);
    answer(stream as ServerHttp2Stream, String(headers[':path']), await buffer(stream));
  });
  return listen(t, server);
}

async function listen(t: ExecutionContext, server: Pick<Server, 'listen' | 'close'>) {
  const dir = fs.mkdtempSync(join(tmpdir(), 'grpc-'));
  t.teardown(() => fs.rmSync(dir, { recursive: true, force: true }));
  t.teardown(() => server.close());
  const path = join(dir, 'sock');
  await new Promise<void>((resolve) => server.listen(path, resolve));
  return path;
}

function framed(message: Buffer, flag = 0): Buffer {
  const prefix = Buffer.alloc(5);
  prefix[0] = flag;
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

/** Answers as a gRPC server does: message, then the status in the trailers. */
function answerWith(stream: ServerHttp2Stream, body: Buffer, status = '0'): void {
  stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
  stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': status, 'grpc-message': 'so it is' }));
  stream.end(body);
}

test('a message goes to the method and the answer’s message comes back', async (t) => {
  const asked: unknown[] = [];
  const socketPath = await serve(t, (stream, path, message) => {
    asked.push(path, message);
    answerWith(stream, framed(Buffer.from('answer')));
  });
  const request = Buffer.from('question');
  const answer = await callUnary({ socketPath, method, request, timeoutMs: 5000 });
  t.is(answer.toString(), 'answer');
  t.deepEqual(asked, [method, framed(request)]);
});

test('a status other than 0 is an error, in trailers and in a header alone', async (t) => {
  const late = await serve(t, (stream) => answerWith(stream, Buffer.alloc(0), '5'));
  const early = await serve(t, (stream) =>
    stream.respond({ ':status': 200, 'grpc-status': '12', 'grpc-message': 'unknown' }, { endStream: true }),
  );
  for (const [socketPath, status] of [
    [late, 5],
    [early, 12],
  ] as const) {
    const error = await t.throwsAsync(callUnary({ socketPath, method, timeoutMs: 5000 }));
    t.is((error as GrpcError).status, status);
    t.true(error instanceof GrpcError);
  }
});

test('whatever else answers, or does not, is an error within the time', async (t) => {
  const bodies = [
    Buffer.alloc(0),
    Buffer.from('abc'),
    framed(Buffer.from('answer')).subarray(0, 8),
    Buffer.concat([framed(Buffer.from('one')), framed(Buffer.from('two'))]),
    framed(Buffer.from('compressed'), 1),
    framed(Buffer.alloc(largestAnswer + 1)),
  ];
  for (const body of bodies) {
    const socketPath = await serve(t, (stream) => answerWith(stream, body));
    await t.throwsAsync(callUnary({ socketPath, method, timeoutMs: 5000 }));
  }
  const silent = await serve(t, () => undefined);
  await t.throwsAsync(callUnary({ socketPath: silent, method, timeoutMs: 200 }), { message: /No answer/ });
  const noGrpc = await serve(t, (stream) => stream.respond({ ':status': 404 }, { endStream: true }));
  await t.throwsAsync(callUnary({ socketPath: noGrpc, method, timeoutMs: 5000 }), { message: /404/ });
  for (const first of ['', 'HTTP/1.1 400 Bad Request\r\n\r\n']) {
    const server = createNetServer((socket) => socket.on('error', () => undefined).end(first));
    const socketPath = await listen(t, server);
    await t.throwsAsync(callUnary({ socketPath, method, timeoutMs: 5000 }));
  }
  await t.throwsAsync(callUnary({ socketPath: '/dev/null/no', method, timeoutMs: 5000 }));
});

test('the release is what the runtime calls itself, and nothing where it is no release', async (t) => {
  const text = (number: number, value: string) =>
    Buffer.concat([Buffer.from([(number << 3) | 2, value.length]), Buffer.from(value)]);
  const asked: string[] = [];
  const serveVersion = (message: Buffer) =>
    serve(t, (stream, path) => {
      asked.push(path);
      answerWith(stream, framed(message));
    });
  t.is(await containerdVersion(await serveVersion(text(1, 'v2.1.4-k3s1'))), '2.1.4-k3s1');
  t.is(await containerdVersion(await serveVersion(text(1, '1.6.20~ds1'))), '1.6.20');
  t.is(await containerdVersion(await serveVersion(text(1, '1.7.27+unknown'))), '1.7.27');
  t.is(await containerdVersion(await serveVersion(text(1, 'nonsense'))), undefined);
  t.is(await containerdVersion(await serveVersion(Buffer.from([0xff]))), undefined);
  t.is(await containerdVersion('/dev/null/no'), undefined);
  const cri = Buffer.concat([text(1, '0.1.0'), text(2, 'cri-o'), text(3, '1.31.0'), text(4, 'v1')]);
  t.is(await crioVersion(await serveVersion(cri)), '1.31.0');
  t.is(await crioVersion('/dev/null/no'), undefined);
  t.deepEqual(
    [...new Set(asked)],
    ['/containerd.services.version.v1.Version/Version', '/runtime.v1.RuntimeService/Version'],
  );
});

test('a runtime that does not answer costs a second', async (t) => {
  const since = performance.now();
  t.is(await containerdVersion(await serve(t, () => undefined)), undefined);
  t.true(performance.now() - since < 2500);
});
