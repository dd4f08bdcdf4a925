/** The demo's clients: skopeo, and plain HTTPS that checks every digest itself. */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readdirSync, rmSync, statSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { get } from 'node:https';
import { promisify } from 'node:util';

/** What every client is told. */
export interface Pull {
  /** `https://ADDRESS:PORT` of the mirror. */
  readonly url: string;
  readonly repository: string;
  readonly tag: string;
  /** PEM text to trust, and a folder that holds it as `ca.crt`. */
  readonly ca: string;
  readonly trustDir: string;
  readonly signal: AbortSignal;
}

/** What one client got. */
export interface Pulled {
  readonly bytes: number;
  /** Milliseconds until the first byte of the first layer; undefined where the client does not tell. */
  readonly firstByteMs?: number;
}

interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
  readonly platform?: { readonly architecture: string; readonly os: string };
}

interface Manifest {
  readonly manifests?: readonly Descriptor[];
  readonly config?: Descriptor;
  readonly layers?: readonly Descriptor[];
}

const accept = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
].join(', ');

/** Copies the image into `dir`, which is removed again; skopeo verifies every digest. */
export async function pullWithSkopeo(pull: Pull, dir: string): Promise<Pulled> {
  const source = `docker://${new URL(pull.url).host}/${pull.repository}:${pull.tag}`;
  const args = ['copy', '--quiet', '--src-cert-dir', pull.trustDir, source, `dir:${dir}`];
  try {
    await promisify(execFile)('skopeo', args, { signal: pull.signal });
    const files = readdirSync(dir).filter((name) => name !== 'version');
    return { bytes: files.reduce((sum, name) => sum + statSync(`${dir}/${name}`).size, 0) };
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

/** Fetches manifest, config and layers, and throws when one has other bytes than its digest says. */
export async function pullPlainly(pull: Pull): Promise<Pulled> {
  const manifests = await resolve(pull, pull.tag);
  const image = manifests.at(-1)?.manifest;
  let bytes = manifests.reduce((sum, { length }) => sum + length, 0);
  let firstByteMs: number | undefined;
  // Layers first: the first byte of the first layer is what somebody waits for.
  for (const blob of [...(image?.layers ?? []), ...(image?.config ? [image.config] : [])]) {
    const got = await fetchWhole(pull, `/v2/${pull.repository}/blobs/${blob.digest}`);
    if (got.digest !== blob.digest) throw new Error(`${blob.digest}: the mirror sent ${got.digest}`);
    firstByteMs ??= got.firstByteMs;
    bytes += got.body.length;
  }
  return { bytes, ...(firstByteMs !== undefined && { firstByteMs }) };
}

/** The manifest of `reference`; where that is an index, also the one for this machine. */
async function resolve(pull: Pull, reference: string): Promise<{ manifest: Manifest; length: number }[]> {
  const got = await fetchWhole(pull, `/v2/${pull.repository}/manifests/${reference}`);
  if (reference.includes(':') && got.digest !== reference)
    throw new Error(`${reference}: the mirror sent ${got.digest}`);
  const manifest = JSON.parse(got.body.toString()) as Manifest;
  const own = { manifest, length: got.body.length };
  const architecture = process.arch === 'arm64' ? 'arm64' : 'amd64';
  const inner = manifest.manifests?.find(
    ({ platform }) => platform?.os === 'linux' && platform.architecture === architecture,
  );
  return inner === undefined ? [own] : [own, ...(await resolve(pull, inner.digest))];
}

async function fetchWhole({ url, ca, signal }: Pull, path: string) {
  const startedAt = performance.now();
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    get(`${url}${path}`, { ca, signal, agent: false, headers: { accept } }, resolve).on('error', reject);
  });
  let firstByteMs = 0;
  const pieces: Buffer[] = [];
  for await (const piece of response as AsyncIterable<Buffer>) {
    if (pieces.length === 0) firstByteMs = performance.now() - startedAt;
    pieces.push(piece);
  }
  const body = Buffer.concat(pieces);
  if (response.statusCode !== 200)
    throw new Error(`${path}: ${response.statusCode} ${body.toString().slice(0, 200)}`);
  return { body, firstByteMs, digest: `sha256:${createHash('sha256').update(body).digest('hex')}` };
}
