/**
 * Mirrors as rewriting sees them in scheme `services`: by their Service's address, from the objects in the API server. Pure, and without the
 * schema library: `--map-check` must stay small.
 */
import { isIPv6 } from 'node:net';
import { objectNames } from '../api/names.ts';
import {
  defaultMasquerade,
  masqueradeOf,
  masqueradeUrlPattern,
  upstreamUrlPattern,
} from '../api/upstream.ts';
import type { KubeObject } from '../kube/object.ts';

/** A mirror with the address of its Service. */
export interface MapMirror {
  /** `metadata.name`; lines are sorted by it. */
  readonly name: string;
  readonly masquerade: string;
  readonly clusterIPs: readonly string[];
  /** True where clients have to show a certificate, which runtimes do not where images name an address. */
  readonly asksCertificate: boolean;
}

/** Why such a mirror has no rule. */
export const certificateObstacle =
  'spec.nodes.clientCertificate: runtimes show none at an address in an image';

interface MirrorFields {
  readonly spec?: {
    readonly upstreamUrl?: unknown;
    readonly masqueradeUrl?: unknown;
    readonly nodes?: { readonly clientCertificate?: unknown };
  };
  readonly status?: { readonly clusterIPs?: readonly string[] };
}

/** The cluster IP as it stands in image references: IPv4 if there is one; IPv6 in brackets without `::`, which imageswap would split at. */
export function mapAddress(clusterIPs: readonly string[]): string | undefined {
  const address = clusterIPs.find((ip) => !isIPv6(ip)) ?? clusterIPs[0];
  if (address === undefined || !isIPv6(address)) return address;
  const [head = '', tail] = address.split('::');
  const left = head.split(':').filter((part) => part !== '');
  const right = (tail ?? '').split(':').filter((part) => part !== '');
  const zeros = tail === undefined ? 0 : 8 - left.length - right.length;
  return `[${[...left, ...Array<string>(zeros).fill('0'), ...right].join(':')}]`;
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

interface ValidMirror {
  readonly metadata: { readonly name: string };
  readonly spec: {
    readonly upstreamUrl: string;
    readonly masqueradeUrl?: string | undefined;
    readonly nodes?: { readonly clientCertificate?: unknown } | undefined;
  };
}

/** Takes a mirror whose names are valid. */
export function mapMirrorOf({ metadata, spec }: ValidMirror, clusterIPs: readonly string[]): MapMirror {
  return {
    name: metadata.name,
    masquerade: masqueradeOf({ spec }),
    clusterIPs,
    asksCertificate: spec.nodes?.clientCertificate === true,
  };
}

const upstreamUrlForm = new RegExp(upstreamUrlPattern);
const masqueradeUrlForm = new RegExp(masqueradeUrlPattern);

/** A Service that is missing for the moment leaves the address of the status, so that the map does not shrink while it is made anew. */
function mapMirror(
  mirror: KubeObject,
  serviceIPs: ReadonlyMap<string, readonly string[]>,
): MapMirror | undefined {
  const { spec, status } = mirror as KubeObject & MirrorFields;
  const { upstreamUrl, masqueradeUrl, nodes } = spec ?? {};
  if (mirror.metadata.deletionTimestamp !== undefined) return undefined;
  // Stored before there was a schema, such values could make a line of their own, or stop the map for all.
  if (typeof upstreamUrl !== 'string' || !upstreamUrlForm.test(upstreamUrl)) return undefined;
  const masquerade = masqueradeUrl ?? defaultMasquerade(upstreamUrl);
  if (typeof masquerade !== 'string' || !masqueradeUrlForm.test(masquerade)) return undefined;
  return mapMirrorOf(
    { metadata: mirror.metadata, spec: { upstreamUrl, masqueradeUrl: masquerade, nodes } },
    serviceIPs.get(objectNames(mirror.metadata.name).service) ?? status?.clusterIPs ?? [],
  );
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
