/** The volume each cache replica keeps its objects on. */
import { claimSize } from '../api/cache-size.ts';
import type { RegistryMirror } from '../api/registry-mirror.ts';

/** Name of the claim template and of the volume; claims are `image-store-registry-mirror-<name>-<n>`. */
export const imageStore = 'image-store';

const defaultAccessModes = ['ReadWriteOnce'];

/** The claim template of a new StatefulSet: the user's spec, with size and access mode where it has none. */
export function claimTemplate(mirror: RegistryMirror): Record<string, unknown> {
  const spec = mirror.spec.volumeClaimTemplate?.spec ?? {};
  const requests = { ...spec.resources?.requests, storage: claimSize(mirror) };
  return {
    metadata: { name: imageStore },
    spec: {
      ...spec,
      accessModes: spec.accessModes?.length ? spec.accessModes : defaultAccessModes,
      resources: { ...spec.resources, requests },
    },
  };
}
