/** What node agents are told of a mirror (docs/adr/0017). Pure. */
import { serviceDnsNames } from '../api/names.ts';
import type { NodeMirror, NodeName } from '../api/node-mirror.ts';
import { nodeWiring } from '../api/nodes.ts';
import { masqueradeOf, parseUpstream } from '../api/upstream.ts';
import type { MirrorInput } from './object.ts';
import { fallbackPort } from './service.ts';

export interface NodeMirrorOptions {
  /** The Service's addresses. */
  readonly clusterIPs: readonly string[];
  readonly nodePort?: number;
  /** Names and addresses for which Docker on the nodes is to trust the mirror's CA. */
  readonly certificateNames: readonly string[];
}

/** In services mode images name the Service's address, and all a node needs is to trust it. */
export function nodeMirror(input: MirrorInput, options: NodeMirrorOptions): NodeMirror {
  const { mirror, settings } = input;
  const { clusterIPs, nodePort, certificateNames } = options;
  const { name } = mirror.metadata;
  const scheme = settings.addressingScheme;
  const wiring = nodeWiring(mirror, scheme);
  const { wire: _wire, ...told } = wiring;
  // A foreign image keeps the hosts file instead of our agent.
  const keepsHosts =
    scheme === 'hostess' && settings.images.hostess === undefined && !wiring.clientCertificate;
  const names = scheme === 'services' ? clusterIPs.map(inReference) : hostessNames(input);
  return {
    name,
    ...told,
    endpoint: scheme === 'services' ? 'service' : wiring.endpoint,
    names,
    addresses: clusterIPs,
    ...(nodePort !== undefined && { port: nodePort }),
    // Who has nothing but the mirror is told what the upstream says.
    ...(names.some(({ upstream }) => upstream) && { fallbackPort: fallbackPort(mirror) }),
    serverName: serviceDnsNames(name, settings.namespace)[2] ?? '',
    hostsNames: keepsHosts ? [masqueradeOf(mirror)] : [],
    certificateNames,
  };
}

/** The alias always; the upstream's own name where workloads are not to change. Behind a path there is no name that runtimes know. */
function hostessNames({ mirror, settings }: MirrorInput): NodeName[] {
  const masquerade = masqueradeOf(mirror);
  const { names, pathPrefix } = parseUpstream(mirror.spec.upstreamUrl);
  const [reference = ''] = names;
  const alias = { name: masquerade, upstream: names.includes(masquerade) && pathPrefix === '' };
  const isTransparent = nodeWiring(mirror, settings.addressingScheme).wire === 'transparent';
  if (!isTransparent || reference === masquerade) return [alias];
  return [{ name: reference, upstream: true }, alias];
}

function inReference(address: string): NodeName {
  return { name: address.includes(':') ? `[${address}]` : address, upstream: false };
}
