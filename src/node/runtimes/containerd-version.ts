import { callUnary } from './grpc-unary.ts';
import { textField } from './protobuf.ts';
import { releaseIn } from './release.ts';

/** containerd's release (`1.6.20`) as it says itself; undefined where it does not within 1 s. Never rejects. */
export async function containerdVersion(socketPath: string): Promise<string | undefined> {
  try {
    const method = '/containerd.services.version.v1.Version/Version';
    const answer = await callUnary({ socketPath, method, timeoutMs: 1000 });
    return releaseIn(textField(answer, 1));
  } catch {
    return undefined;
  }
}
