/** What keeps a mirror from being put into force until a person changes something. Pure. */
import type { RegistryMirror } from '../../api/registry-mirror.ts';
import type { OperatorSettings } from '../../api/settings.ts';
import { defaultMasquerade, masqueradeOf, splitHostPort } from '../../api/upstream.ts';
import type { Obstacle } from './finding.ts';

/** What of a mirror decides over its name; objects in the store may predate the schema. */
export interface MasqueradeClaim {
  readonly metadata: { readonly name: string; readonly creationTimestamp?: string };
  readonly spec?: { readonly upstreamUrl?: unknown; readonly masqueradeUrl?: unknown };
}

/**
 * The host under which a mirror is to be reached, undefined where there is none to be had. Without the port: a line of a
 * hosts file has none, so two mirrors on two ports of one name would fight over it.
 */
export function masqueradeHost({ spec }: MasqueradeClaim): string | undefined {
  const { upstreamUrl, masqueradeUrl } = spec ?? {};
  if (typeof masqueradeUrl === 'string') return splitHostPort(masqueradeUrl).host;
  return typeof upstreamUrl === 'string' ? splitHostPort(defaultMasquerade(upstreamUrl)).host : undefined;
}

/** Two mirrors with one name: the older is in force; of the same age the first by name. */
export function masqueradeConflict(
  mirror: RegistryMirror,
  rivals: readonly MasqueradeClaim[],
): Obstacle | undefined {
  const winner = rivals.find((rival) => isOlder(rival.metadata, mirror.metadata));
  if (winner === undefined) return undefined;
  const message = `masqueradeUrl ${masqueradeOf(mirror)} belongs to RegistryMirror ${winner.metadata.name}, which is older; change or delete one of them`;
  return { reason: 'MasqueradeConflict', message };
}

/** Mirror `x-headless` would have the Service that the replicas of mirror `x` are named by; again the older wins. */
export function serviceConflict(
  mirror: RegistryMirror,
  rivals: readonly MasqueradeClaim[],
): Obstacle | undefined {
  const winner = rivals.find((rival) => isOlder(rival.metadata, mirror.metadata));
  if (winner === undefined) return undefined;
  const message = `its name makes a Service that belongs to RegistryMirror ${winner.metadata.name}, which is older; make it under another name`;
  return { reason: 'NameConflict', message };
}

/** Names of the mirrors that would share a Service with this one. */
export function serviceRivals(name: string): readonly string[] {
  return [`${name}-headless`, ...(name.endsWith('-headless') ? [name.slice(0, -'-headless'.length)] : [])];
}

/** Which of two mirrors keeps what both claim: the older, of the same age the first by name. */
export function isOlder(one: MasqueradeClaim['metadata'], other: MasqueradeClaim['metadata']): boolean {
  if (one.name === other.name) return false;
  const [left, right] = [one, other].map(
    ({ creationTimestamp, name }) => `${creationTimestamp ?? '9'} ${name}`,
  );
  return (left ?? '') < (right ?? '');
}

/** Services mode writes the masquerade name into image paths, where a port is invalid. */
export function masqueradePort(mirror: RegistryMirror, settings: OperatorSettings): Obstacle | undefined {
  const { port } = splitHostPort(masqueradeOf(mirror));
  if (settings.addressingScheme !== 'services' || port === undefined) return undefined;
  const invalid = 'has a port, which makes an invalid image path in scheme services';
  const name = masqueradeOf(mirror);
  const message =
    mirror.spec.masqueradeUrl === undefined
      ? `The name ${name}, which spec.upstreamUrl gives the mirror, ${invalid}: set spec.masqueradeUrl to a name without a port`
      : `spec.masqueradeUrl ${name} ${invalid}: remove the port`;
  return { reason: 'MasqueradePort', message };
}
