/** One unary gRPC call to a runtime on its unix socket, bounded in time and size: all that is asked of one is its version. */
import { type ClientHttp2Session, connect, constants, type IncomingHttpHeaders } from 'node:http2';
import { createConnection } from 'node:net';

export interface UnaryCall {
  readonly socketPath: string;
  /** `/package.Service/Method`. */
  readonly method: string;
  /** Encoded; empty where absent. */
  readonly request?: Uint8Array;
  /** For everything together. */
  readonly timeoutMs: number;
}

/** The other end's own answer that it did not do it; `status` as in gRPC (12: it has no such method). */
export class GrpcError extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(`gRPC status ${status}: ${message}`);
    this.name = 'GrpcError';
    this.status = status;
  }
}

/** The largest answer that is taken, in bytes: a version has a hundred. */
export const largestAnswer = 64 * 1024;

/** Flag and length before each message. */
const prefixLength = 5;

/** Returns the answer's encoded message. Rejects with a `GrpcError`, or with whatever kept the call from being answered. */
export async function callUnary(call: UnaryCall): Promise<Buffer> {
  const session = connect('http://localhost', {
    createConnection: () => createConnection({ path: call.socketPath }),
  });
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  const late = setTimeout(() => reject(new Error(`No answer within ${call.timeoutMs} ms`)), call.timeoutMs);
  session.on('error', reject);
  session.on('close', () => reject(new Error('The connection was closed')));
  try {
    ask(session, call).then(resolve, reject);
    return await promise;
  } finally {
    clearTimeout(late);
    session.destroy();
  }
}

async function ask(
  session: ClientHttp2Session,
  { method, request = Buffer.alloc(0) }: UnaryCall,
): Promise<Buffer> {
  const stream = session.request({
    [constants.HTTP2_HEADER_METHOD]: 'POST',
    [constants.HTTP2_HEADER_PATH]: method,
    'content-type': 'application/grpc',
    te: 'trailers',
  });
  let ending: IncomingHttpHeaders = {};
  // Without a message the status comes in the only headers there are.
  stream.on('response', (headers) => (ending = headers));
  stream.on('trailers', (headers) => (ending = headers));
  stream.end(framed(request));
  const pieces: Buffer[] = [];
  let length = 0;
  for await (const piece of stream as AsyncIterable<Buffer>) {
    length += piece.length;
    if (length > largestAnswer + prefixLength)
      throw new Error(`An answer of more than ${largestAnswer} bytes`);
    pieces.push(piece);
  }
  requireOk(ending);
  return messageIn(Buffer.concat(pieces));
}

function framed(message: Uint8Array): Buffer {
  const frame = Buffer.alloc(prefixLength);
  frame.writeUInt32BE(message.length, 1);
  return Buffer.concat([frame, message]);
}

function requireOk(ending: IncomingHttpHeaders): void {
  const status = ending['grpc-status'];
  if (status === undefined) throw new Error(`Not gRPC: HTTP status ${ending[':status'] ?? 'unknown'}`);
  if (Number(status) !== 0) throw new GrpcError(Number(status), String(ending['grpc-message'] ?? ''));
}

function messageIn(body: Buffer): Buffer {
  const whole = body.length >= prefixLength && body.readUInt32BE(1) === body.length - prefixLength;
  // No compression was offered.
  if (!whole || body[0] !== 0) throw new Error('Not one whole message');
  return body.subarray(prefixLength);
}
