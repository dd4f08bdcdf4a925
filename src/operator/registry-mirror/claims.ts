/**
 * Cache volumes: a StatefulSet's claim templates cannot change, so the live ones are sent back, claims grow one by one,
 * and everything else that is asked for is an obstacle. A set without claims (`storage: ephemeral`) stays so, too. Pure.
 */

import { cacheSizeMiB, claimSize, isClamped } from '../../api/cache-size.ts';
import { quantityBytes } from '../../api/quantity.ts';
import type { RegistryMirror } from '../../api/registry-mirror.ts';
import { claimTemplate } from '../../resources/claim-template.ts';
import type { Obstacle } from './finding.ts';
import type { LiveClaim, LiveObjects, LiveStatefulSet } from './live-objects.ts';

/** A claim whose request is to become `storage`. */
export interface Growth {
  readonly claim: LiveClaim;
  readonly storage: string;
}

export interface ClaimPlan {
  /** Templates of the live StatefulSet, or of a new one, whatever claims an earlier set has left; none of an ephemeral one. */
  readonly templates: readonly unknown[];
  /** What the smallest volume has that counts, for nginx's `max_size`; never more than what is asked for. */
  readonly storage: string | number;
  readonly growths: readonly Growth[];
  readonly obstacles: readonly Obstacle[];
}

/** Claims of replicas that were made together are no further apart. Milliseconds. */
const togetherMs = 600_000;

/** Compares what the mirror asks for with the live set and its claims. */
export function planClaims(
  mirror: RegistryMirror,
  live: Pick<LiveObjects, 'statefulSet' | 'claims'>,
): ClaimPlan {
  const wanted = claimSize(mirror);
  const made = live.statefulSet && (live.statefulSet.spec?.volumeClaimTemplates ?? []);
  const isEphemeral = made ? made.length === 0 : mirror.spec.storage === 'ephemeral';
  const changed = made ? otherStorage(mirror, isEphemeral) : [];
  // Claims of a set that was there before are nobody's now.
  if (isEphemeral) {
    return { templates: [], storage: wanted, growths: [], obstacles: changed };
  }
  const template = made?.[0];
  const claims = claimsOfReplicas(live.claims, mirror.spec.replicas);
  const sizes = mirror.spec.replicas === 0 ? [] : sizesInUse(mirror, claims, live.statefulSet);
  const known = template === undefined || sizes.length > 0 ? sizes : [requestOf(template) ?? wanted];
  return {
    templates: made ?? [claimTemplate(mirror)],
    storage: smallest([wanted, ...known]),
    growths: claims
      // Until it is bound a claim cannot be changed at all; its binding is an event.
      .filter((claim) => claim.status?.phase === 'Bound' && isSmaller(requestOf(claim) ?? wanted, wanted))
      .map((claim) => ({ claim, storage: String(wanted) })),
    obstacles: [...changed, ...shrinking(wanted, template, claims), ...otherClaims(mirror, template)],
  };
}

/** Those that replicas use or are to use; of none, all: nobody knows how many there will be again. */
export function claimsOfReplicas(claims: readonly LiveClaim[], replicas: number): readonly LiveClaim[] {
  return replicas === 0 ? claims : claims.filter((claim) => ordinalOf(claim) < replicas);
}

/**
 * Of the volumes that replicas have. A replica that joins gets its volume from a template that could not grow with the others, or has one of before that
 * grows as it is mounted: while that one is brought to their size it takes nothing from those that serve, and its broker sees to it that it does not
 * fill.
 */
function sizesInUse(
  mirror: RegistryMirror,
  claims: readonly LiveClaim[],
  statefulSet: LiveStatefulSet | undefined,
): (string | number)[] {
  const there = statefulSet?.status?.replicas ?? Number.POSITIVE_INFINITY;
  const grown = claims.filter((claim) => !isSmaller(capacityOf(claim) ?? 0, claimSize(mirror)));
  const isYounger = (claim: LiveClaim) => grown.every((other) => madeAt(claim) > madeAt(other) + togetherMs);
  const joins = (claim: LiveClaim) =>
    grown.length > 0 && (isYounger(claim) || ordinalOf(claim) >= there || growsWhenMounted(claim));
  return claims
    .filter((claim) => !joins(claim))
    .flatMap((claim) => capacityOf(claim) ?? requestOf(claim) ?? []);
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

/** What a person should know of the cache's bound; undefined where it is what was asked for. */
export function sizeNote(mirror: RegistryMirror): string | undefined {
  if (!isClamped(mirror)) return undefined;
  return `cache.maxSize ${mirror.spec.cache?.maxSize} is more than 80 % of the volume: the cache keeps to ${cacheSizeMiB(mirror)}Mi`;
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

/** A set without claims gets none by a change of its template, nor loses them. */
function otherStorage({ spec }: RegistryMirror, isEphemeral: boolean): Obstacle[] {
  if ((spec.storage === 'ephemeral') === isEphemeral) return [];
  const [is, left] = isEphemeral ? ['ephemeral', ''] : ['persistent', '; its claims are left to you'];
  const message = `storage is ${spec.storage}, but the StatefulSet was made ${is}, which cannot change: delete the StatefulSet and it is made anew, with an empty cache${left}`;
  return [{ reason: 'ClaimTemplateImmutable', message }];
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

function capacityOf(claim: LiveClaim): string | undefined {
  return claim.status?.capacity?.storage;
}

function growsWhenMounted({ status }: LiveClaim): boolean {
  return (
    status?.conditions?.some(
      (condition) => condition.type === 'FileSystemResizePending' && condition.status === 'True',
    ) ?? false
  );
}

function madeAt({ metadata }: LiveClaim): number {
  return Date.parse(metadata.creationTimestamp ?? '') || 0;
}

/** `image-store-registry-mirror-hub-2` is of the third replica. */
function ordinalOf({ metadata }: LiveClaim): number {
  return Number(/-(\d+)$/.exec(metadata.name)?.[1] ?? 0);
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
