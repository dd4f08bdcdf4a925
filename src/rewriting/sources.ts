/** Rule sources from the objects in the API server. Pure. */
import { findCondition, isConditionTrue } from '../api/conditions.ts';
import { isRecord } from '../api/is-record.ts';
import { fieldManager, imageswapConfigMap } from '../api/names.ts';
import type { RegistryMirrorStatus } from '../api/registry-mirror.ts';
import type { ImageMap } from '../image/rules/image-maps.ts';
import type { RuleMirror } from '../image/rules/mirrors.ts';
import type { KubeObject } from '../kube/object.ts';
import { certificateObstacle, type MapMirror, mapAddress, mapMirrors } from './services-mirrors.ts';

/** Takes ImageMaps as they are stored; what has no such form (of an older CRD without a schema) counts as empty. Those being deleted are gone. */
export function imageMapsOf(objects: readonly KubeObject[]): ImageMap[] {
  return objects
    .filter(({ metadata }) => metadata.deletionTimestamp === undefined)
    .map(({ metadata, ...object }) => ({
      namespace: metadata.namespace ?? '',
      name: metadata.name,
      creationTimestamp: metadata.creationTimestamp ?? '',
      map: linesOf(object['spec']),
    }));
}

function linesOf(spec: unknown): ImageMap['map'] {
  const map = (spec as { map?: unknown } | undefined)?.map;
  if (!Array.isArray(map)) return [];
  return map.flatMap((line: { from?: unknown; to?: unknown } | null) => {
    const { from, to } = line ?? {};
    return typeof from === 'string' && typeof to === 'string' ? [{ from, to }] : [];
  });
}

/** Takes RegistryMirrors; their address is that of their status. Older ones first: of two with one masquerade name the first counts. */
export function ruleMirrorsOf(mirrors: readonly KubeObject[]): RuleMirror[] {
  const statuses = new Map(
    mirrors.map(({ metadata, status }) => [metadata.name, status as RegistryMirrorStatus | undefined]),
  );
  return mapMirrors(mirrors, []).map((mirror) =>
    ruleMirrorOf(mirror, isMirrorAvailable(statuses.get(mirror.name))),
  );
}

/** What the rules need of a mirror that has a line in imageswap's map, too. */
export function ruleMirrorOf(
  { name, masquerade, clusterIPs, asksCertificate }: MapMirror,
  available: boolean,
): RuleMirror {
  return {
    name,
    masquerade,
    address: mapAddress(clusterIPs),
    available,
    ...(asksCertificate && { obstacle: certificateObstacle }),
  };
}

/**
 * Whether a mirror serves. Where agents have told that something is in the way and not one node trusts its address, no
 * pull of it can succeed. Where some nodes do not, or agents were not heard, `NodesWired` alone says so.
 */
export function isMirrorAvailable(status: RegistryMirrorStatus | undefined): boolean {
  const wired = findCondition(status?.conditions, 'NodesWired');
  const isTrustedNowhere = wired?.reason === 'NodesNotWired' && /^0[/][1-9]/.test(status?.nodes ?? '');
  return isConditionTrue(status?.conditions, 'CacheAvailable') && !isTrustedNowhere;
}

/** The text of imageswap's map in its ConfigMap; undefined where it is missing. */
export function imageswapMapOf(configMap: KubeObject | undefined): string | undefined {
  const data = configMap?.['data'] as Record<string, string> | undefined;
  return data?.[imageswapConfigMap.key];
}

/** True for a map that is as our operator applied it; who changes it makes it his. */
export function isOwnMap({ metadata }: KubeObject): boolean {
  return (metadata.managedFields ?? []).some(
    ({ manager, operation, fieldsV1 }) =>
      manager === fieldManager &&
      operation === 'Apply' &&
      isRecord(fieldsV1?.['f:data']) &&
      `f:${imageswapConfigMap.key}` in fieldsV1['f:data'],
  );
}
