/** The server's side of a WebSocket (RFC 6455) on a connection that node:http has upgraded; whole messages only, no extensions. */
import { createHash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';

const opcodes = { binary: 2, close: 8, ping: 9, pong: 10 } as const;

export interface ServerWebSocket {
  send(message: Buffer): void;
  /** Closing handshake with a code; the connection ends. */
  close(code?: number): void;
  /** No handshake: as a machine that dies. */
  cut(): void;
  onMessage: (message: Buffer) => void;
  /** Resolves when the connection has ended, however. */
  readonly ended: Promise<void>;
}

/** Answers the handshake with `protocol`. `deaf` never answers a ping. */
export function acceptWebSocket(
  request: IncomingMessage,
  connection: Duplex,
  protocol: string,
  { deaf = false } = {},
): ServerWebSocket {
  const key = `${request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`;
  const lines = [
    'HTTP/1.1 101 Switching Protocols',
    'Upgrade: websocket',
    'Connection: Upgrade',
    `Sec-WebSocket-Accept: ${createHash('sha1').update(key).digest('base64')}`,
    `Sec-WebSocket-Protocol: ${protocol}`,
  ];
  connection.write(`${lines.join('\r\n')}\r\n\r\n`);
  const send = (opcode: number, payload: Buffer) => {
    if (connection.writable) connection.write(frame(opcode, payload));
  };
  const ended = new Promise<void>((resolve) => connection.once('close', () => resolve()));
  const socket: ServerWebSocket = {
    send: (message) => send(opcodes.binary, message),
    close(code = 1000) {
      const body = Buffer.alloc(2);
      body.writeUInt16BE(code);
      send(opcodes.close, body);
      connection.end();
    },
    cut: () => connection.destroy(),
    onMessage: () => undefined,
    ended,
  };
  let rest = Buffer.alloc(0);
  connection.on('error', () => connection.destroy());
  connection.on('end', () => connection.end());
  connection.on('data', (piece: Buffer) => {
    rest = Buffer.concat([rest, piece]);
    for (let found = unframe(rest); found !== undefined; found = unframe(rest)) {
      rest = rest.subarray(found.length);
      if (found.opcode === opcodes.binary) socket.onMessage(found.payload);
      if (found.opcode === opcodes.ping && !deaf) send(opcodes.pong, found.payload);
      if (found.opcode === opcodes.close) socket.close();
    }
  });
  return socket;
}

function frame(opcode: number, payload: Buffer): Buffer {
  const header = Buffer.alloc(10);
  header[0] = 0x80 | opcode;
  if (payload.length < 126) {
    header[1] = payload.length;
    return Buffer.concat([header.subarray(0, 2), payload]);
  }
  header[1] = 127;
  header.writeBigUInt64BE(BigInt(payload.length), 2);
  return Buffer.concat([header, payload]);
}

/** The first frame of what has come so far, unmasked; undefined while it is not whole. */
function unframe(data: Buffer): { opcode: number; payload: Buffer; length: number } | undefined {
  if (data.length < 2) return undefined;
  const short = data[1]! & 0x7f;
  const extended = short === 126 ? 2 : short === 127 ? 8 : 0;
  const start = 2 + extended + 4;
  if (data.length < start) return undefined;
  const size = extended === 0 ? short : data.readUIntBE(extended === 2 ? 2 : 4, extended === 2 ? 2 : 6);
  if (data.length < start + size) return undefined;
  const mask = data.subarray(start - 4, start);
  const payload = Buffer.from(data.subarray(start, start + size)).map((byte, at) => byte ^ mask[at % 4]!);
  return { opcode: data[0]! & 0x0f, payload: Buffer.from(payload), length: start + size };
}
