/** Which credentials the live cache pods use, read from their template. Pure. */
import { prefixOfFolder } from '../../resources/stateful-set.ts';
import type { CredentialsEntry } from './credentials.ts';
import type { LiveStatefulSet } from './live-objects.ts';

/** The Secrets that the pods mount, by prefix. A set of an earlier version mounts one, for all repositories. */
export function mountedCredentials(set: LiveStatefulSet | undefined): readonly CredentialsEntry[] {
  const { volumes = [], containers = [] } = set?.spec?.template?.spec ?? {};
  const mounts = containers.flatMap(({ volumeMounts }) => volumeMounts ?? []);
  return mounts.flatMap(({ name, mountPath }) => {
    const prefix = prefixOfFolder(mountPath);
    const secret = volumes.find((volume) => volume.name === name)?.secret?.secretName;
    return prefix === undefined || secret === undefined ? [] : [{ prefix, secret }];
  });
}
