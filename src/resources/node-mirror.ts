/** What node agents are told of a mirror (docs/adr/0017). Pure. */
import { serviceDnsNames } from '../api/names.ts';
import type { NodeMirror, NodeName } from '../api/node-mirror.ts';
import { nodeWiring } from '../api/nodes.ts';
import {
  masqueradeOf,
  masqueradesAsDockerHub,
  masqueradesAsUpstream,
  parseUpstream,
} from '../api/upstream.ts';
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
  const isHubs = scheme === 'hostess' && masqueradesAsDockerHub(mirror);
  // A foreign image keeps the hosts file instead of our agent.
  const keepsHosts =
    scheme === 'hostess' && settings.images.hostess === undefined && !wiring.clientCertificate && !isHubs;
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
    certificateNames: isHubs ? [] : certificateNames,
  };
}

/** The alias; the upstream's own names where workloads are not to change, or where the alias is one of them. */
function hostessNames({ mirror, settings }: MirrorInput): NodeName[] {
  const masquerade = masqueradeOf(mirror);
  const upstream = parseUpstream(mirror.spec.upstreamUrl);
  const isOwn = masqueradesAsUpstream(mirror);
  const isTransparent = nodeWiring(mirror, settings.addressingScheme).wire === 'transparent';
  // Runtimes take another port for another registry, whichever it is.
  const spelled = [...new Set([...upstream.names, ...(isOwn ? [masquerade] : [])])];
  const own = upstream.dockerHub ? upstream.names.slice(0, 1) : spelled;
  const isPlain = upstream.scheme === 'http' && !upstream.dockerHub;
  const asked = { upstream: true, ...(isPlain && { scheme: upstream.scheme }) };
  return [
    ...(isTransparent || isOwn ? own.map((name) => ({ name, ...asked })) : []),
    ...(isOwn ? [] : [{ name: masquerade, upstream: false }]),
  ];
}

function inReference(address: string): NodeName {
  return { name: address.includes(':') ? `[${address}]` : address, upstream: false };
}
