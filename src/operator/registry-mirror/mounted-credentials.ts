/** Which credentials the live cache pods use, read from their template. Pure. */
import { placeOfFolder } from '../../resources/stateful-set.ts';
import type { CredentialsEntry } from './credentials.ts';
import type { LiveStatefulSet } from './live-objects.ts';

/** The Secrets that the pods mount for `registry` (`host[:port]`), by prefix: one registry's password is nothing for another. */
export function mountedCredentials(
  set: LiveStatefulSet | undefined,
  registry: string,
): readonly CredentialsEntry[] {
  const { volumes = [], containers = [] } = set?.spec?.template?.spec ?? {};
  const mounts = containers.flatMap(({ volumeMounts }) => volumeMounts ?? []);
  return mounts.flatMap(({ name, mountPath }) => {
    const place = placeOfFolder(mountPath);
    const secret = volumes.find((volume) => volume.name === name)?.secret?.secretName;
    if (place?.registry !== registry || secret === undefined) return [];
    return [{ prefix: place.prefix, secret }];
  });
}
