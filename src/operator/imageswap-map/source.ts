/** Which mirrors are in the map, from the objects in the API server. Pure, and without the schema library: `--map-check` must stay small. */
import { objectNames } from '../../api/names.ts';
import { defaultMasquerade, masqueradeUrlPattern, upstreamUrlPattern } from '../../api/upstream.ts';
import type { KubeObject } from '../../kube/object.ts';
import type { MapMirror } from './map.ts';

interface MirrorFields {
  readonly spec?: { readonly upstreamUrl?: unknown; readonly masqueradeUrl?: unknown };
  readonly status?: { readonly clusterIPs?: readonly string[] };
}

/** Takes all RegistryMirrors and the Services of the operator's namespace; of two mirrors with one masqueradeUrl the older counts. Invalid ones have no line. */
export function mapMirrors(mirrors: readonly KubeObject[], services: readonly KubeObject[]): MapMirror[] {
  const serviceIPs = new Map(services.map((service) => [service.metadata.name, clusterIPs(service)]));
  const byMasquerade = new Map<string, MapMirror>();
  for (const mirror of [...mirrors].sort(byAge)) {
    const candidate = mapMirror(mirror, serviceIPs);
    if (candidate !== undefined && !byMasquerade.has(candidate.masquerade)) {
      byMasquerade.set(candidate.masquerade, candidate);
    }
  }
  return [...byMasquerade.values()];
}

const upstreamUrlForm = new RegExp(upstreamUrlPattern);
const masqueradeUrlForm = new RegExp(masqueradeUrlPattern);

/** A Service that is missing for the moment leaves the address of the status, so that the map does not shrink while it is made anew. */
function mapMirror(
  mirror: KubeObject,
  serviceIPs: ReadonlyMap<string, readonly string[]>,
): MapMirror | undefined {
  const { spec, status } = mirror as KubeObject & MirrorFields;
  const { upstreamUrl, masqueradeUrl } = spec ?? {};
  if (mirror.metadata.deletionTimestamp !== undefined) return undefined;
  // Stored before there was a schema, such values could make a line of their own, or stop the map for all.
  if (typeof upstreamUrl !== 'string' || !upstreamUrlForm.test(upstreamUrl)) return undefined;
  const masquerade = masqueradeUrl ?? defaultMasquerade(upstreamUrl);
  if (typeof masquerade !== 'string' || !masqueradeUrlForm.test(masquerade)) return undefined;
  return {
    name: mirror.metadata.name,
    upstreamUrl,
    masquerade,
    clusterIPs: serviceIPs.get(objectNames(mirror.metadata.name).service) ?? status?.clusterIPs ?? [],
  };
}

function clusterIPs(service: KubeObject): readonly string[] {
  const spec = service['spec'] as { clusterIPs?: string[]; clusterIP?: string } | undefined;
  const all = spec?.clusterIPs ?? (spec?.clusterIP ? [spec.clusterIP] : []);
  return all.filter((ip) => ip !== 'None' && ip !== '');
}

function byAge(a: KubeObject, b: KubeObject): number {
  const [left, right] = [a, b].map(({ metadata }) => `${metadata.creationTimestamp ?? ''} ${metadata.name}`);
  return (left ?? '') < (right ?? '') ? -1 : 1;
}
