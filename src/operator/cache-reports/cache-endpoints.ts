/** Which replicas of which mirror serve, and where: read from the EndpointSlices of the headless Services. Pure. */
import { selectorLabels } from '../../api/names.ts';
import type { KubeObject } from '../../kube/object.ts';

/** One replica that serves. */
export interface CacheEndpoint {
  readonly mirror: string;
  /** Name of the pod. */
  readonly replica: string;
  /** IP address. */
  readonly address: string;
}

interface EndpointSlice extends KubeObject {
  readonly endpoints?: readonly {
    readonly addresses?: readonly string[];
    readonly conditions?: { readonly ready?: boolean; readonly serving?: boolean };
    readonly targetRef?: { readonly name?: string };
  }[];
}

/** Labels that the endpoint controller takes over from our Services, and its own of headless ones. */
export const cacheSlices = `app=${selectorLabels('').app},service.kubernetes.io/headless`;

/** What is kept in memory of a slice: who serves where. */
export function preparedSlice(slice: KubeObject): KubeObject {
  const { name, namespace, uid, resourceVersion, labels } = slice.metadata;
  const { endpoints } = slice as EndpointSlice;
  const kept = (endpoints ?? []).map(({ addresses, conditions, targetRef }) => {
    return { addresses: addresses?.slice(0, 1), conditions, targetRef: { name: targetRef?.name } };
  });
  const metadata = { name, namespace, uid, resourceVersion, labels };
  return { apiVersion: slice.apiVersion, kind: slice.kind, metadata, endpoints: kept } as KubeObject;
}

/** Every replica once, by name; with two families its IPv4 address. */
export function cacheEndpoints(slices: readonly KubeObject[]): readonly CacheEndpoint[] {
  const found = slices.flatMap((slice) => {
    const mirror = slice.metadata.labels?.['mirror'];
    return mirror === undefined ? [] : endpointsOf(slice, mirror);
  });
  const isV6 = ({ address }: CacheEndpoint) => address.includes(':');
  const sorted = [...found].sort((one, other) => Number(isV6(other)) - Number(isV6(one)));
  const byReplica = new Map(sorted.map((endpoint) => [endpoint.replica, endpoint]));
  return [...byReplica.values()].sort((one, other) => (one.replica < other.replica ? -1 : 1));
}

/** `ready` says nothing here: the headless Service publishes replicas before they are. */
function endpointsOf(slice: EndpointSlice, mirror: string): CacheEndpoint[] {
  return (slice.endpoints ?? []).flatMap(({ addresses, conditions, targetRef }) => {
    const [address] = addresses ?? [];
    if (address === undefined || conditions?.serving === false) return [];
    return [{ mirror, replica: targetRef?.name ?? address, address }];
  });
}
