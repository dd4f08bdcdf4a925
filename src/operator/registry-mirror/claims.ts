/**
 * Cache volumes: a StatefulSet's claim templates cannot change, so the live ones are sent back, claims grow one by one,
 * and everything else that is asked for is an obstacle. Pure.
 */

import { claimSize } from '../../api/cache-size.ts';
import { quantityBytes } from '../../api/quantity.ts';
import type { RegistryMirror } from '../../api/registry-mirror.ts';
import { claimTemplate } from '../../resources/claim-template.ts';
import type { Obstacle } from './finding.ts';
import type { LiveClaim, LiveObjects } from './live-objects.ts';

/** A claim whose request is to become `storage`. */
export interface Growth {
  readonly claim: LiveClaim;
  readonly storage: string;
}

export interface ClaimPlan {
  /** Templates of the live StatefulSet; undefined: there is none, a new one is made. */
  readonly templates?: readonly unknown[];
  /** What the smallest volume has, for nginx's `max_size`; never more than what is asked for. */
  readonly storage: string | number;
  readonly growths: readonly Growth[];
  readonly obstacles: readonly Obstacle[];
}

/** Compares what the mirror asks for with the live set and its claims. */
export function planClaims(
  mirror: RegistryMirror,
  live: Pick<LiveObjects, 'statefulSet' | 'claims'>,
): ClaimPlan {
  const wanted = claimSize(mirror);
  const template = live.statefulSet?.spec?.volumeClaimTemplates?.[0];
  const sizes = live.claims.flatMap((claim) => claim.status?.capacity?.storage ?? requestOf(claim) ?? []);
  const known = template === undefined || sizes.length > 0 ? sizes : [requestOf(template) ?? wanted];
  return {
    ...(live.statefulSet && { templates: live.statefulSet.spec?.volumeClaimTemplates ?? [] }),
    storage: smallest([wanted, ...known]),
    growths: live.claims
      // Until it is bound a claim cannot be changed at all; its binding is an event.
      .filter((claim) => claim.status?.phase === 'Bound' && isSmaller(requestOf(claim) ?? wanted, wanted))
      .map((claim) => ({ claim, storage: String(wanted) })),
    obstacles: [...shrinking(wanted, template, live.claims), ...otherClaims(mirror, template)],
  };
}

/** A mirror whose claims have `storage`: what the cache's size is computed from. */
export function withStorage(mirror: RegistryMirror, storage: string | number): RegistryMirror {
  const { volumeClaimTemplate } = mirror.spec;
  const spec = {
    ...volumeClaimTemplate?.spec,
    resources: {
      ...volumeClaimTemplate?.spec?.resources,
      requests: { ...volumeClaimTemplate?.spec?.resources?.requests, storage },
    },
  };
  return { ...mirror, spec: { ...mirror.spec, volumeClaimTemplate: { ...volumeClaimTemplate, spec } } };
}

function shrinking(
  wanted: string | number,
  template: LiveClaim | undefined,
  claims: readonly LiveClaim[],
): Obstacle[] {
  const requests = (claims.length > 0 ? claims : template ? [template] : []).flatMap(
    (claim) => requestOf(claim) ?? [],
  );
  const larger = requests.find((request) => isSmaller(wanted, request));
  if (larger === undefined) return [];
  const message = `volumeClaimTemplate asks for ${wanted}, but the claims have ${larger}: claims cannot shrink; the cache keeps to the smaller size`;
  return [{ reason: 'StorageCannotShrink', message }];
}

/** Class and access modes of a set that exists are what they were when it was made. */
function otherClaims(mirror: RegistryMirror, template: LiveClaim | undefined): Obstacle[] {
  if (template === undefined) return [];
  const wanted = claimTemplate(mirror)['spec'] as NonNullable<LiveClaim['spec']>;
  const live = template.spec ?? {};
  const changed = [
    wanted.storageClassName !== undefined && wanted.storageClassName !== live.storageClassName
      ? 'storageClassName'
      : '',
    String(wanted.accessModes) === String(live.accessModes) ? '' : 'accessModes',
  ].filter((field) => field !== '');
  if (changed.length === 0) return [];
  const message = `volumeClaimTemplate changes ${changed.join(' and ')}, which claims cannot: delete StatefulSet and claims of the mirror to make them anew`;
  return [{ reason: 'ClaimTemplateImmutable', message }];
}

function requestOf(claim: LiveClaim): string | undefined {
  return claim.spec?.resources?.requests?.storage;
}

function isSmaller(one: string | number, other: string | number): boolean {
  return quantityBytes(one) < quantityBytes(other);
}

function smallest(sizes: readonly (string | number)[]): string | number {
  return sizes.reduce((one, other) => (isSmaller(other, one) ? other : one));
}
