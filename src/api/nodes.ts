/** How nodes are wired to a mirror that does not say so itself (docs/adr/0017). Pure; anybody may import it. */
import { credentialSecrets } from './access.ts';
import type { RegistryMirror } from './registry-mirror.ts';
import type { AddressingScheme } from './settings.ts';

type Nodes = NonNullable<RegistryMirror['spec']['nodes']>;

/** `spec.nodes` with every default filled in. */
export interface NodeWiring {
  readonly wire: NonNullable<Nodes['wire']>;
  readonly runtimes: NonNullable<Nodes['runtimes']>;
  readonly endpoint: NonNullable<Nodes['endpoint']>;
  readonly containerd: NonNullable<Nodes['containerd']>;
  readonly foreignFiles: NonNullable<Nodes['foreignFiles']>;
  readonly foreignHostsLines: NonNullable<Nodes['foreignHostsLines']>;
  readonly clientCertificate: boolean;
}

/** A certificate is asked for by itself only where every wiring of the nodes can show one: an alias is reached by lines in hosts files. */
export function nodeWiring({ spec }: Pick<RegistryMirror, 'spec'>, scheme: AddressingScheme): NodeWiring {
  const { nodes = {} } = spec;
  const { wire = 'alias', endpoint = 'loopback' } = nodes;
  const viaForwarder = scheme === 'hostess' && wire === 'transparent' && endpoint === 'loopback';
  return {
    wire,
    endpoint,
    runtimes: nodes.runtimes ?? ['auto'],
    containerd: nodes.containerd ?? 'report',
    foreignFiles: nodes.foreignFiles ?? 'refuse',
    foreignHostsLines: nodes.foreignHostsLines ?? 'override',
    clientCertificate: nodes.clientCertificate ?? (viaForwarder && credentialSecrets({ spec }).length > 0),
  };
}
