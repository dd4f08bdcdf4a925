/** Where a mirror's files lie on a node by its configuration alone: what is looked at when the journal is lost. Pure. */
import { dropInPath, trustPath } from './containers-registries.ts';
import { certificatePath } from './docker-ca.ts';
import { type NodeFacts, trustedNames } from './facts.ts';
import type { HostView } from './host-view.ts';
import { mirrorEndpoint } from './mirror-endpoint.ts';
import type { WiredMirror } from './options.ts';
import { planContainerdTarget } from './plan-mirror.ts';
import type { OwnedFile } from './plan-restore.ts';

/** Returns every file that a wiring of `mirror` would have on this node. */
export function knownFiles(mirror: WiredMirror, facts: NodeFacts, view: HostView): OwnedFile[] {
  const trust = trustedNames(mirror, facts).map(certificatePath);
  const registries = mirror.names.map(({ name }) => dropInPath(name));
  const endpoint = mirrorEndpoint(mirror, undefined);
  const registriesTrust = endpoint?.kind === 'service' ? [trustPath(endpoint.location)] : [];
  // Whichever the port is, the files are the same.
  const { paths } = planContainerdTarget({ port: 1, ...mirror }, { facts, bundle: undefined }, view);
  const of = (kind: OwnedFile['kind'], all: readonly string[]) =>
    all.map((path) => ({ path, kind, mirror: mirror.name }));
  return [
    ...of('docker-ca', trust),
    ...of('containers-registries', [...registries, ...registriesTrust]),
    ...of('containerd-hosts', paths),
  ];
}
