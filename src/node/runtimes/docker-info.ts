import { request } from 'node:http';
import { releaseIn } from './release.ts';

export interface DockerInfo {
  /** dockerd's (`20.10.24`). */
  readonly version: string;
  /** Images are containerd's: `hosts.toml` in `/etc/docker/certs.d` is read (the default of a fresh Docker 29). */
  readonly containerdStore: boolean;
}

/** It asks other programs for their versions before it answers. */
const timeoutMs = 5000;

/** It names every plugin and every warning: kilobytes. */
const largestAnswer = 1024 * 1024;

/** What dockerd says of itself; undefined where it does not answer, or answers something else. Never rejects. */
export async function dockerInfo(socketPath: string): Promise<DockerInfo | undefined> {
  try {
    return parseInfo(await get(socketPath, '/info'));
  } catch {
    return undefined;
  }
}

/** From the body of `GET /info`; throws where it is no JSON object. */
export function parseInfo(body: string): DockerInfo | undefined {
  const { ServerVersion: version, DriverStatus: status } = JSON.parse(body) as Record<string, unknown>;
  const release = typeof version === 'string' ? releaseIn(version) : undefined;
  if (release === undefined) return undefined;
  const pairs = Array.isArray(status) ? (status as unknown[]) : [];
  return { version: release, containerdStore: pairs.some(isContainerdSnapshotter) };
}

function isContainerdSnapshotter(pair: unknown): boolean {
  return Array.isArray(pair) && pair[0] === 'driver-type' && pair[1] === 'io.containerd.snapshotter.v1';
}

async function get(socketPath: string, path: string): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const asked = request(
    { socketPath, path, agent: false, signal: AbortSignal.timeout(timeoutMs) },
    (response) => {
      const pieces: Buffer[] = [];
      let length = 0;
      response.on('error', reject);
      response.on('data', (piece: Buffer) => {
        length += piece.length;
        if (length > largestAnswer) asked.destroy(new Error(`An answer of more than ${largestAnswer} bytes`));
        pieces.push(piece);
      });
      response.on('end', () =>
        response.statusCode === 200
          ? resolve(Buffer.concat(pieces).toString())
          : reject(new Error(`Status ${response.statusCode}`)),
      );
    },
  );
  asked.on('error', reject);
  asked.on('close', () => reject(new Error('The connection was closed')));
  asked.end();
  return await promise;
}
