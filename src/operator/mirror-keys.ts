/** Which mirrors have to be looked at when an object changes. Pure. */

import { kind } from '../api/kind.ts';
import { caSecretName, issuerName, sharedNodesName } from '../api/names.ts';
import type { OperatorSettings } from '../api/settings.ts';
import type { KubeObject } from '../kube/object.ts';
import { type MasqueradeClaim, masqueradeHost } from './registry-mirror/obstacles.ts';

/** What is meant by a change: named mirrors, or all of them. */
export type Affected = readonly string[] | 'all';

const derivedName = /^registry-mirror-(.+?)(-headless|-utils|-restore|-secret|-tls|-leaf|-client)?$/;

/** The mirrors an object belongs to: by owner, by label, or, where both were taken away, by its name. */
export function mirrorsOf({ metadata }: KubeObject): readonly string[] {
  const owner = metadata.ownerReferences?.find((reference) => reference.kind === kind)?.name;
  const named = owner ?? metadata.labels?.['mirror'];
  if (named !== undefined) return [named];
  const match = derivedName.exec(metadata.name);
  // `registry-mirror-a-secret` is the configuration of mirror `a`, or the Service of mirror `a-secret`.
  return match?.[1] === undefined ? [] : [match[1], `${match[1]}${match[2] ?? ''}`];
}

/** The shared agents' DaemonSet concerns every mirror: how far its rollout is, each says of its nodes. */
export function mirrorsOfDaemonSet(set: KubeObject): Affected {
  return set.metadata.name === sharedNodesName ? 'all' : mirrorsOf(set);
}

/** Some Secrets concern every mirror; a user's Secret those that name it. */
export function mirrorsOfSecret(
  secret: KubeObject,
  settings: OperatorSettings,
  withCredentials: (secret: string) => readonly string[],
): Affected {
  const { name } = secret.metadata;
  if (name === caSecretName || name === settings.certificateSecret) return 'all';
  return [...mirrorsOf(secret), ...withCredentials(name)];
}

/** cert-manager's Issuer concerns every mirror, another one none. */
export function mirrorsOfIssuer({ metadata }: KubeObject): Affected {
  return metadata.name === issuerName ? 'all' : [];
}

/** Index of mirrors by the host of their masquerade name. */
export function masqueradeHosts(mirror: KubeObject): string[] {
  const host = masqueradeHost(mirror as MasqueradeClaim);
  return host === undefined ? [] : [host];
}

/** Index of mirrors by the Secrets with their credentials; a mirror in the store may not be valid. */
export function credentialsSecrets(mirror: KubeObject): string[] {
  const { credentialsSecret, credentials } = (mirror['spec'] ?? {}) as Record<string, unknown>;
  const listed = Array.isArray(credentials) ? credentials.map((entry) => entry?.secret) : [];
  const names = [credentialsSecret, ...listed].filter((name) => typeof name === 'string');
  return [...new Set(names)];
}
