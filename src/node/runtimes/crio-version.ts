import { callUnary } from './grpc-unary.ts';
import { textField } from './protobuf.ts';
import { releaseIn } from './release.ts';

/** CRI-O's release (`1.31.0`), or that of another runtime behind the CRI; undefined where it does not answer within 1 s. Never rejects. */
export async function crioVersion(socketPath: string): Promise<string | undefined> {
  try {
    const method = '/runtime.v1.RuntimeService/Version';
    const answer = await callUnary({ socketPath, method, timeoutMs: 1000 });
    // 1 is the version of the call itself, 2 the runtime's name.
    return releaseIn(textField(answer, 3));
  } catch {
    return undefined;
  }
}
