/** Images made on the spot: real tar and gzip layers of pseudo-random bytes, the same at each run, so that digests are known. */
import { createCipheriv, createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';

/** A blob with its digest (`sha256:` and hex). */
export interface Blob {
  readonly digest: string;
  readonly content: Buffer;
}

export interface Manifest extends Blob {
  readonly mediaType: string;
  readonly tags: readonly string[];
}

/** Everything that makes an image, in the order in which it must be pushed. */
export interface Image {
  readonly blobs: readonly Blob[];
  readonly manifests: readonly Manifest[];
}

const types = {
  index: 'application/vnd.oci.image.index.v1+json',
  manifest: 'application/vnd.oci.image.manifest.v1+json',
  config: 'application/vnd.oci.image.config.v1+json',
  layer: 'application/vnd.oci.image.layer.v1.tar+gzip',
};

/** `size` bytes that no compression makes smaller, the same for the same `seed`. */
export function randomBytes(seed: string, size: number): Buffer {
  const key = createHash('sha256').update(seed).digest();
  return createCipheriv('aes-256-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(size));
}

/** A blob of `size` pseudo-random bytes. */
export function randomBlob(seed: string, size: number): Blob {
  return blobOf(randomBytes(seed, size));
}

/** An OCI image for linux (this machine's architecture, or another) with one layer of each size (in bytes, of the file in it). */
export function makeImage(options: {
  tag: string;
  seed: string;
  layerSizes: readonly number[];
  architecture?: string;
  /** A file of this machine, linked statically, that a container of the image runs. */
  program?: string;
}): Image {
  const { program } = options;
  const tars = options.layerSizes.map((size, index) =>
    tarOf(`layer-${index}.bin`, randomBytes(`${options.seed} ${index}`, size)),
  );
  if (program !== undefined) tars.push(tarOf('program', readFileSync(program), '0000755'));
  const layers = tars.map((tar) => blobOf(gzipSync(tar, { level: 1 })));
  const config = blobOf(
    jsonOf({
      architecture: options.architecture ?? ownArchitecture,
      os: 'linux',
      config: program === undefined ? {} : { Entrypoint: ['/program'] },
      rootfs: { type: 'layers', diff_ids: tars.map(digestOf) },
      history: tars.map(() => ({ created: '1970-01-01T00:00:00Z' })),
    }),
  );
  const manifest = jsonOf({
    schemaVersion: 2,
    mediaType: types.manifest,
    config: descriptor(types.config, config),
    layers: layers.map((layer) => descriptor(types.layer, layer)),
  });
  return {
    blobs: [config, ...layers],
    manifests: [{ ...blobOf(manifest), mediaType: types.manifest, tags: [options.tag] }],
  };
}

/** What images call this machine's architecture. */
export const ownArchitecture = process.arch === 'arm64' ? 'arm64' : 'amd64';

/** An index, tagged, of one image for each architecture; with `attested` each has an attestation beside it as BuildKit makes them. */
export function makeMultiArchImage(options: {
  tag: string;
  seed: string;
  layerSizes: readonly number[];
  architectures: readonly string[];
  attested?: boolean;
}): Image {
  const { tag, seed, layerSizes, architectures, attested = false } = options;
  const entries = architectures.flatMap((architecture) => {
    const platform = { os: 'linux', architecture };
    const image = makeImage({ tag, seed: `${seed} ${architecture}`, layerSizes, architecture });
    const attestation = makeImage({ tag, seed: `${seed} ${architecture} attestation`, layerSizes: [100] });
    const unknown = { os: 'unknown', architecture: 'unknown' };
    return [{ image, platform }, ...(attested ? [{ image: attestation, platform: unknown }] : [])];
  });
  const children = entries.flatMap(({ image }) => image.manifests.map((child) => ({ ...child, tags: [] })));
  const index = jsonOf({
    schemaVersion: 2,
    mediaType: types.index,
    manifests: entries.map(({ platform }, at) => ({
      ...descriptor(types.manifest, children[at]!),
      platform,
    })),
  });
  return {
    blobs: entries.flatMap(({ image }) => image.blobs),
    manifests: [...children, { ...blobOf(index), mediaType: types.index, tags: [tag] }],
  };
}

/** Makes a blob of some content. */
export function blobOf(content: Buffer): Blob {
  return { digest: digestOf(content), content };
}

/** `sha256:` and the hex digest of `content`. */
export function digestOf(content: Buffer): string {
  return `sha256:${createHash('sha256').update(content).digest('hex')}`;
}

function descriptor(mediaType: string, { digest, content }: Blob): object {
  return { mediaType, digest, size: content.length };
}

function jsonOf(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value));
}

/** A tar archive (ustar) with one file: a header block, the content in whole blocks, two empty blocks. */
function tarOf(name: string, content: Buffer, mode = '0000644'): Buffer {
  const header = Buffer.alloc(512);
  header.write(name, 0);
  header.write(`${mode}\0`, 100);
  header.write('0000000\0', 108);
  header.write('0000000\0', 116);
  header.write(`${content.length.toString(8).padStart(11, '0')}\0`, 124);
  header.write('00000000000\0', 136);
  header.write('        ', 148);
  header.write('0', 156);
  header.write('ustar\x0000', 257);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  const padding = Buffer.alloc((512 - (content.length % 512)) % 512);
  return Buffer.concat([header, content, padding, Buffer.alloc(1024)]);
}
