/** What every registry under test holds; made on the spot, with the same digests at each run. */
import { type Blob, blobOf, type Manifest, makeImage } from '../support/images.ts';
import { pushImage, type TestRegistry } from '../support/registry.ts';

export const mediaTypes = {
  manifest: 'application/vnd.oci.image.manifest.v1+json',
  index: 'application/vnd.oci.image.index.v1+json',
  config: 'application/vnd.oci.image.config.v1+json',
  empty: 'application/vnd.oci.empty.v1+json',
} as const;

export interface Referrer {
  readonly manifest: Manifest;
  readonly artifactType: string;
}

export interface Content {
  readonly repository: string;
  /** Names with every separator that the specification knows; each holds the image. */
  readonly oddRepositories: readonly string[];
  readonly layer: Blob;
  readonly config: Blob;
  readonly manifest: Manifest;
  readonly index: Manifest;
  /** All tags of `repository`, as the specification sorts them. */
  readonly tags: readonly string[];
  readonly referrers: readonly Referrer[];
}

/** The longest tag there may be. */
export const longestTag = `t${'x'.repeat(127)}`;

const image = makeImage({ tag: 'v1.2', seed: 'conformance', layerSizes: [3_000_000] });
const [config, layer] = [image.blobs[0]!, image.blobs[1]!];
const manifest: Manifest = { ...image.manifests[0]!, tags: ['v1.2', 'B1', '_under', 'a1', longestTag] };
const index = manifestOf(mediaTypes.index, ['multi', 'v1.10'], {
  schemaVersion: 2,
  mediaType: mediaTypes.index,
  manifests: [
    { ...descriptor(mediaTypes.manifest, manifest), platform: { architecture: 'amd64', os: 'linux' } },
  ],
});
const nothing = blobOf(Buffer.from('{}'));
const referrers = ['application/vnd.example.sbom', 'application/vnd.example.signature'].map(
  (artifactType) => ({
    artifactType,
    manifest: manifestOf(mediaTypes.manifest, [], {
      schemaVersion: 2,
      mediaType: mediaTypes.manifest,
      artifactType,
      config: descriptor(mediaTypes.empty, nothing),
      layers: [descriptor(mediaTypes.empty, nothing)],
      subject: descriptor(mediaTypes.manifest, manifest),
    }),
  }),
);

export const content: Content = {
  repository: 'conformance/app',
  oddRepositories: [
    'a',
    'a/b/c/d/e',
    'dots.and_under__scores-and---hyphens/0',
    `${'n'.repeat(120)}/${'n'.repeat(100)}`,
  ],
  layer,
  config,
  manifest,
  index,
  tags: [...manifest.tags, ...index.tags].sort(),
  referrers,
};

/** Pushes all of it. */
export async function pushContent(registry: TestRegistry): Promise<void> {
  const blobs = [...image.blobs, nothing];
  const manifests = [manifest, index, ...referrers.map((referrer) => referrer.manifest)];
  await pushImage(registry, content.repository, { blobs, manifests });
  for (const repository of content.oddRepositories)
    await pushImage(registry, repository, { blobs, manifests: [manifest] });
}

function manifestOf(mediaType: string, tags: readonly string[], value: object): Manifest {
  return { ...blobOf(Buffer.from(JSON.stringify(value))), mediaType, tags };
}

function descriptor(mediaType: string, { digest, content }: Blob) {
  return { mediaType, digest, size: content.length };
}
