/** The volume each cache replica keeps its objects on. */
import { quantityBytes } from '../api/quantity.ts';
import type { RegistryMirror } from '../api/registry-mirror.ts';

/** Name of the claim template and of the volume; claims are `image-store-registry-mirror-<name>-<n>`. */
export const imageStore = 'image-store';

const defaultSize = '20Gi';
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

/** The size asked for each claim, as the user wrote it. */
export function claimSize(mirror: RegistryMirror): string | number {
  return mirror.spec.volumeClaimTemplate?.spec?.resources?.requests?.storage ?? defaultSize;
}

/**
 * nginx's `max_size` in MiB, at least 1: 80 % of the claim. The rest is for the file system, the broker's state, and
 * what arrives in the up to 10 s between two rounds in which nginx makes room.
 */
export function cacheSizeMiB(mirror: RegistryMirror): number {
  return Math.max(1, Math.floor((quantityBytes(claimSize(mirror)) * 0.8) / 1024 ** 2));
}
