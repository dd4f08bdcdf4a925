/** Who may read what of a mirror, when it does not say so itself (docs/adr/0011). Pure. */
import type { RegistryMirror } from './registry-mirror.ts';

/** `spec.access`, or its default: `shared` with credentials, else `publicOnly`. */
export function accessOf({ spec }: Pick<RegistryMirror, 'spec'>): 'publicOnly' | 'shared' | 'passThrough' {
  if (spec.access !== undefined) return spec.access;
  return credentialSecrets({ spec }).length > 0 ? 'shared' : 'publicOnly';
}

/** Every Secret the mirror names, with the repository prefix it is for. */
export function credentialSecrets({
  spec,
}: Pick<RegistryMirror, 'spec'>): readonly { readonly prefix: string; readonly secret: string }[] {
  if (spec.credentials !== undefined) return spec.credentials;
  return spec.credentialsSecret === undefined ? [] : [{ prefix: '', secret: spec.credentialsSecret }];
}
