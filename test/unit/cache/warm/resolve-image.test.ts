import test from 'ava';
import type { CachedManifest } from '../../../../src/cache/warm/fetch-manifest.ts';
import { type PlatformChoice, parsePlatform } from '../../../../src/cache/warm/platform.ts';
import { resolveImage } from '../../../../src/cache/warm/resolve-image.ts';
import { WarmError } from '../../../../src/cache/warm/warm-error.ts';
import { manifestTypes } from '../../../../src/registry/media-types.ts';
import { digestOf, makeMultiArchImage } from '../../../support/images.ts';

const amd64: PlatformChoice = [parsePlatform('linux/amd64')!];
const layerType = 'application/vnd.oci.image.layer.v1.tar+gzip';

/** A store of manifests that are put in as objects and asked for by digest. */
function manifests() {
  const stored = new Map<string, CachedManifest>();
  const asked: string[] = [];
  const put = (value: object, mediaType: string = manifestTypes.ociManifest): CachedManifest => {
    const bytes = Buffer.from(JSON.stringify(value));
    const manifest = { bytes, mediaType, digest: digestOf(bytes) };
    stored.set(manifest.digest, manifest);
    return manifest;
  };
  const fetch = async (digest: string) => {
    asked.push(digest);
    return stored.get(digest)!;
  };
  return { put, asked, resolve: (top: CachedManifest, choice = amd64) => resolveImage(top, choice, fetch) };
}

function blob(name: string, mediaType = layerType) {
  return { mediaType, digest: digestOf(Buffer.from(name)), size: name.length };
}

function entry({ digest, bytes, mediaType }: CachedManifest, platform?: object) {
  return { mediaType, digest, size: bytes.length, ...(platform && { platform }) };
}

const linux = (architecture: string) => ({ os: 'linux', architecture });

test('an image is its config and layers, each once', async (t) => {
  const { put, resolve } = manifests();
  const content = await resolve(put({ config: blob('config'), layers: [blob('a'), blob('b'), blob('a')] }));
  t.deepEqual(
    content.blobs.map(({ size, digest }) => [digest.text, size]),
    [blob('config'), blob('a'), blob('b')].map(({ size, digest }) => [digest, size]),
  );
  t.deepEqual(content.platforms, []);
});

test('of an index the manifests of the platforms asked for are read, no others', async (t) => {
  const { put, resolve, asked } = manifests();
  const image = put({ config: blob('c'), layers: [blob('amd')] });
  const other = put({ config: blob('d'), layers: [blob('arm')] });
  const index = put(
    { manifests: [entry(other, linux('arm64')), entry(image, linux('amd64'))] },
    manifestTypes.dockerList,
  );
  const content = await resolve(index);
  t.deepEqual(asked, [image.digest]);
  t.deepEqual(content.platforms, ['linux/amd64']);
  t.is(content.blobs.length, 2);
  t.is((await resolve(index, 'all')).blobs.length, 4);
});

test('attestations come with all platforms only', async (t) => {
  const image = makeMultiArchImage({
    tag: 'x',
    seed: 's',
    layerSizes: [10],
    architectures: ['amd64', 'arm64'],
    attested: true,
  });
  const { put, resolve } = manifests();
  for (const { content } of image.manifests) put(JSON.parse(content.toString()));
  const top = { ...image.manifests.at(-1)!, bytes: image.manifests.at(-1)!.content };
  t.is((await resolve(top)).blobs.length, 2);
  t.is((await resolve(top, 'all')).blobs.length, 8);
});

test('indexes nest, and a manifest that two of them name is read once', async (t) => {
  const { put, resolve, asked } = manifests();
  const image = put({ layers: [blob('a')] });
  const inner = put({ manifests: [entry(image, linux('amd64'))] }, manifestTypes.ociIndex);
  const outer = put({ manifests: [entry(inner), entry(image, linux('amd64'))] }, manifestTypes.ociIndex);
  t.is((await resolve(outer)).blobs.length, 1);
  t.deepEqual(asked, [inner.digest, image.digest]);
});

test('indexes that nest without end are refused', async (t) => {
  const { put, resolve } = manifests();
  let top = put({ layers: [] });
  for (let depth = 0; depth < 6; depth++)
    top = put({ manifests: [entry(top)], depth }, manifestTypes.ociIndex);
  await t.throwsAsync(resolve(top), { instanceOf: WarmError, message: /nest deeper than 4/ });
});

test('a platform that is not there is an error that names those that are', async (t) => {
  const { put, resolve } = manifests();
  const image = put({ layers: [] });
  const index = put(
    {
      manifests: [
        entry(image, linux('s390x')),
        entry(image, { os: 'linux', architecture: 'arm', variant: 'v7' }),
        entry(image, { os: 'unknown', architecture: 'unknown' }),
      ],
    },
    manifestTypes.ociIndex,
  );
  const error = await t.throwsAsync(resolve(index), { instanceOf: WarmError });
  t.is(error.code, 'platform');
  t.true(error.message.endsWith('has no linux/amd64; it has linux/s390x, linux/arm/v7'), error.message);
});

test('layers that lie elsewhere are told apart; artifacts may have no layer at all', async (t) => {
  const { put, resolve } = manifests();
  const windows = blob('base', 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip');
  const oci = blob('other', 'application/vnd.oci.image.layer.nondistributable.v1.tar+gzip');
  const content = await resolve(put({ config: blob('c'), layers: [windows, oci, blob('a')] }));
  t.is(content.blobs.length, 2);
  t.deepEqual(
    content.foreign.map(({ digest }) => digest.text),
    [windows.digest, oci.digest],
  );
  t.deepEqual((await resolve(put({ subject: blob('s') }))).blobs, []);
});

test('a manifest with a digest that cannot be checked, or that is no JSON, is refused by name of the field', async (t) => {
  const { put, resolve } = manifests();
  const wrong = put({ layers: [{ ...blob('a'), digest: 'md5:abc' }] });
  const error = await t.throwsAsync(resolve(wrong), { instanceOf: WarmError, message: /layers.0.digest/ });
  t.is(error.code, 'manifest');
  const text = { bytes: Buffer.from('<html>'), mediaType: manifestTypes.ociManifest, digest: 'sha256:x' };
  await t.throwsAsync(resolve(text), { instanceOf: WarmError, message: /expected JSON/ });
});
