/** The two Services of a mirror: the one clients dial, and the headless one that names the replicas. */
import { cachePodLabels, objectNames } from '../api/names.ts';
import type { RegistryMirror } from '../api/registry-mirror.ts';
import { masqueradeOf, parseUpstream, splitHostPort } from '../api/upstream.ts';
import { ports as podPorts } from '../cache/ports.ts';
import {
  type KubernetesObject,
  type MetadataView,
  type MirrorInput,
  metadataView,
  objectFrom,
} from './object.ts';

/** What `service.yaml` prints. */
export interface ServiceView {
  readonly metadata: MetadataView;
  /** Addresses to ask for (`None`: headless); empty: the API server chooses. */
  readonly clusterIPs: readonly string[];
  /** Replicas have a name as soon as they have an address. */
  readonly publishNotReadyAddresses: boolean;
  readonly selector: Readonly<Record<string, string>>;
  readonly ports: readonly ServicePort[];
}

/** `targetPort` is the name of a container's port. */
interface ServicePort {
  readonly name: string;
  readonly port: number;
  readonly targetPort: keyof typeof podPorts;
}

const template = 'service.yaml';
const https = { name: 'https', port: 443, targetPort: 'https' } as const;

/** Which of the two Services, and what it is asked for. */
interface ServiceOptions {
  readonly name: string;
  readonly clusterIPs: readonly string[];
  readonly ports: readonly ServicePort[];
  readonly publishNotReadyAddresses: boolean;
}

/** The Service that clients dial; `clusterIPs` of a Service that was lost are asked for again. */
export function clusterService(
  input: MirrorInput,
  { clusterIPs = [] }: { readonly clusterIPs?: readonly string[] } = {},
): KubernetesObject {
  return objectFrom(template, clusterServiceView(input, clusterIPs));
}

/** The headless Service: the StatefulSet's `serviceName`. Replicas find each other by it, the operator finds them. */
export function headlessService(input: MirrorInput): KubernetesObject {
  return objectFrom(template, headlessServiceView(input));
}

/** The view of the Service that clients dial. */
export function clusterServiceView(input: MirrorInput, clusterIPs: readonly string[]): ServiceView {
  const name = objectNames(input.mirror.metadata.name).service;
  const fallback = {
    name: 'https-fallback',
    port: fallbackPort(input.mirror),
    targetPort: 'fallback',
  } as const;
  const ports = [...clientPorts(input.mirror), fallback];
  return serviceView(input, { name, clusterIPs, ports, publishNotReadyAddresses: false });
}

/** The view of the headless Service. */
export function headlessServiceView(input: MirrorInput): ServiceView {
  const name = objectNames(input.mirror.metadata.name).headlessService;
  const between = (['peer', 'metrics'] as const).map((port) => {
    return { name: port, port: podPorts[port], targetPort: port };
  });
  const ports = [https, ...between];
  return serviceView(input, { name, clusterIPs: ['None'], ports, publishNotReadyAddresses: true });
}

/** Port of the Service for those that go to the upstream themselves when the mirror does not serve; never one that clients dial. */
export function fallbackPort(mirror: Pick<RegistryMirror, 'spec'>): number {
  const taken = clientPorts(mirror).map(({ port }) => port);
  return [5443, 5444].find((port) => !taken.includes(port)) ?? 5445;
}

function serviceView(input: MirrorInput, { name, ...options }: ServiceOptions): ServiceView {
  const selector = cachePodLabels(input.mirror.metadata.name);
  return { metadata: metadataView(input, name), selector, ...options };
}

/** 443, and the ports of the names that lines of hosts files lead here, which carry none: the masquerade's, and the upstream's where it is led too. */
function clientPorts(mirror: Pick<RegistryMirror, 'spec'>): readonly ServicePort[] {
  const { upstreamUrl, nodes } = mirror.spec;
  const led = [
    { name: 'https-masq', host: masqueradeOf(mirror) },
    ...(nodes?.wire === 'transparent'
      ? [{ name: 'https-upstream', host: parseUpstream(upstreamUrl).host }]
      : []),
  ];
  const ports: ServicePort[] = [https];
  for (const { name, host } of led) {
    const { port } = splitHostPort(host);
    if (port !== undefined && ports.every((each) => each.port !== port)) ports.push({ ...https, name, port });
  }
  return ports;
}
