/** What a manifest refers to (OCI image specification 1.1, Docker image manifest version 2 schema 2). Pure. */
import * as z from 'zod';
import { type Digest, parseDigest } from '../../registry/digest.ts';
import { manifestTypes } from '../../registry/media-types.ts';
import type { Platform } from './platform.ts';
import { WarmError } from './warm-error.ts';

export interface Descriptor {
  readonly mediaType: string;
  readonly digest: Digest;
  /** Bytes. */
  readonly size: number;
  readonly platform?: Platform | undefined;
}

/** An index leads to manifests, any other manifest to blobs (none in an artifact without layers). */
export type ManifestContent =
  | { readonly kind: 'index'; readonly manifests: readonly Descriptor[] }
  | { readonly kind: 'image'; readonly blobs: readonly Descriptor[] };

const descriptor = z.object({
  mediaType: z.string(),
  digest: z.string().transform((text, context): Digest => {
    const digest = parseDigest(text);
    if (digest !== undefined) return digest;
    context.addIssue({ code: 'custom', message: 'expected a sha256 or sha512 digest' });
    return z.NEVER;
  }),
  size: z.int().min(0),
  platform: z.object({ os: z.string(), architecture: z.string(), variant: z.string().optional() }).optional(),
});

const schema = z.object({
  manifests: z.array(descriptor).optional(),
  config: descriptor.optional(),
  layers: z.array(descriptor).optional(),
  // Artifact manifests of release candidates of the image specification 1.1.
  blobs: z.array(descriptor).optional(),
});

const indexTypes: ReadonlySet<string> = new Set([manifestTypes.ociIndex, manifestTypes.dockerList]);

/** Layers that lie elsewhere and that registries need not have: Windows base layers of old. */
const foreign = /[.]foreign[.]|[.]nondistributable[.]/;

/** Takes a manifest's bytes and media type; throws `WarmError` with code `manifest` that names the field. */
export function parseManifest(bytes: Uint8Array, mediaType: string, name: string): ManifestContent {
  const parsed = schema.safeParse(parseJson(bytes, name));
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new WarmError('manifest', `${name}: ${issue?.path.join('.')}: ${issue?.message}`);
  }
  const { manifests, config, layers = [], blobs = [] } = parsed.data;
  if (indexTypes.has(mediaType)) return { kind: 'index', manifests: manifests ?? [] };
  return { kind: 'image', blobs: [...(config ? [config] : []), ...layers, ...blobs] };
}

/** True for a layer that is fetched from its own URLs, if at all. */
export function isForeign({ mediaType }: Descriptor): boolean {
  return foreign.test(mediaType);
}

function parseJson(bytes: Uint8Array, name: string): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new WarmError('manifest', `${name}: expected JSON`, { cause });
  }
}
