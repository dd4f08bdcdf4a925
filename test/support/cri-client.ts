/** As much of a kubelet as pulling takes: the CRI's image service over a runtime's socket. */
import { callUnary } from '../../src/node/runtimes/grpc-unary.ts';
import { textField } from '../../src/node/runtimes/protobuf.ts';

/** Pulls as the kubelet would; returns the image's id. Rejects with what the runtime says. */
export async function pullByCri(socketPath: string, image: string): Promise<string | undefined> {
  // PullImageRequest.image (1) is an ImageSpec, whose image (1) is the reference.
  const request = field(1, field(1, Buffer.from(image)));
  const method = '/runtime.v1.ImageService/PullImage';
  return textField(await callUnary({ socketPath, method, request, timeoutMs: 60_000 }), 1);
}

/** A field of a protocol buffers' message: its number, and that a length follows. */
function field(number: number, content: Buffer): Buffer {
  return Buffer.concat([Buffer.from([(number << 3) | 2]), varint(content.length), content]);
}

function varint(value: number): Buffer {
  const low = value & 0x7f;
  return value < 0x80 ? Buffer.from([low]) : Buffer.concat([Buffer.from([low | 0x80]), varint(value >>> 7)]);
}
