/** Images made of a folder, without a base and without a registry: an OCI layout as one tar archive, the same bytes for the same files. */
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { type Blob, blobOf, ownArchitecture } from '../support/images.ts';

export interface LocalImage {
  /** The whole reference, with its tag. */
  readonly reference: string;
  /** Programs, by their path in the image. */
  readonly files: Readonly<Record<string, string>>;
  readonly links?: Readonly<Record<string, string>>;
  readonly entrypoint: readonly string[];
}

/** Writes the image to `file`, as `ctr images import` and others take it. */
export function writeImageArchive(image: LocalImage, file: string): void {
  const work = mkdtempSync(join(tmpdir(), 'image-'));
  try {
    const layer = blobOf(tarOfFolder(writeRoot(image, join(work, 'root'))));
    writeLayout(image, layer, join(work, 'layout'));
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, tarOfFolder(join(work, 'layout')));
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

function writeRoot({ files, links = {} }: LocalImage, root: string): string {
  const place = (path: string) => {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    return join(root, path);
  };
  mkdirSync(join(root, 'tmp'), { recursive: true, mode: 0o1777 });
  for (const [path, source] of Object.entries(files)) cpSync(source, place(path));
  for (const [path, target] of Object.entries(links)) symlinkSync(target, place(path));
  return root;
}

function writeLayout({ reference, entrypoint }: LocalImage, layer: Blob, folder: string): void {
  const config = blobOf(
    jsonOf({
      architecture: ownArchitecture,
      os: 'linux',
      config: { Entrypoint: entrypoint, Env: ['PATH=/bin'] },
      rootfs: { type: 'layers', diff_ids: [layer.digest] },
      history: [{ created: '1970-01-01T00:00:00Z' }],
    }),
  );
  const manifest = blobOf(
    jsonOf({
      schemaVersion: 2,
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      config: descriptor('application/vnd.oci.image.config.v1+json', config),
      layers: [descriptor('application/vnd.oci.image.layer.v1.tar', layer)],
    }),
  );
  const named = {
    ...descriptor('application/vnd.oci.image.manifest.v1+json', manifest),
    annotations: {
      'io.containerd.image.name': reference,
      'org.opencontainers.image.ref.name': basename(reference).split(':')[1],
    },
  };
  mkdirSync(join(folder, 'blobs/sha256'), { recursive: true });
  for (const blob of [layer, config, manifest])
    writeFileSync(join(folder, 'blobs', blob.digest.replace(':', '/')), blob.content);
  writeFileSync(join(folder, 'oci-layout'), jsonOf({ imageLayoutVersion: '1.0.0' }));
  writeFileSync(join(folder, 'index.json'), jsonOf({ schemaVersion: 2, manifests: [named] }));
}

function tarOfFolder(folder: string): Buffer {
  const same = ['--sort=name', '--mtime=@0', '--owner=0', '--group=0', '--numeric-owner', '--format=ustar'];
  const archive = `${folder}.tar`;
  execFileSync('tar', [...same, '-C', folder, '-cf', archive, '.']);
  return readFileSync(archive);
}

function descriptor(mediaType: string, { digest, content }: Blob) {
  return { mediaType, digest, size: content.length };
}

function jsonOf(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value));
}
