/** Which blobs a manifest names. Pure. */
import { z } from 'zod';

const descriptor = z.object({ digest: z.string() });
const manifest = z.object({
  config: descriptor.optional(),
  layers: z.array(descriptor).optional(),
  /** OCI artifact manifests. */
  blobs: z.array(descriptor).optional(),
  /** Docker's schema 1. */
  fsLayers: z.array(z.object({ blobSum: z.string() })).optional(),
});

/** Takes the text of a manifest of any type; what cannot be read names none, an image index neither. */
export function digestsNamedBy(text: string): string[] {
  const parsed = manifest.safeParse(parseJson(text));
  if (!parsed.success) return [];
  const { config, layers = [], blobs = [], fsLayers = [] } = parsed.data;
  const descriptors = [...(config === undefined ? [] : [config]), ...layers, ...blobs];
  return [...descriptors.map(({ digest }) => digest), ...fsLayers.map(({ blobSum }) => blobSum)];
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
