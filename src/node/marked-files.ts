/** The files on a node that carry our header, wherever we may have put them: what is known of a mirror when the journal is lost. Pure. */
import { readConfigs } from './containerd/config.ts';
import { pathInForce } from './containerd/config-path.ts';
import { certificatesFolder as containersCertificates } from './containers-registries.ts';
import { certificatesFolder as dockersCertificates } from './docker-ca.ts';
import type { NodeFacts } from './facts.ts';
import { dropInFolder } from './foreign-registries.ts';
import type { HostView } from './host-view.ts';
import { mirrorOf } from './managed-file.ts';
import type { OwnedFile } from './plan-restore.ts';

/** Returns every such file with its mirror. */
export function markedFiles(view: HostView, facts: NodeFacts): OwnedFile[] {
  const below = (folder: string) => (view.list(folder) ?? []).map((name) => `${folder}/${name}`);
  const inFolders = (root: string) => below(root).flatMap(below);
  const roots = new Set([dockersCertificates, ...containerdRoots(view, facts)]);
  const candidates: [string, OwnedFile['kind']][] = [
    ...[...roots].flatMap(inFolders).map((path): [string, OwnedFile['kind']] => [path, kindIn(path)]),
    ...below(dropInFolder).map((path): [string, OwnedFile['kind']] => [path, 'containers-registries']),
    ...inFolders(containersCertificates).map((path): [string, OwnedFile['kind']] => [
      path,
      'containers-registries',
    ]),
  ];
  return candidates.flatMap(([path, kind]) => {
    const state = view.read(path);
    const mirror = state.kind === 'file' ? mirrorOf(state.content) : undefined;
    return mirror === undefined ? [] : [{ path, kind, mirror }];
  });
}

/** A CA in Docker's folder is Docker's, what else is of ours there is read as containerd's. */
function kindIn(path: string): OwnedFile['kind'] {
  return path.startsWith(`${dockersCertificates}/`) && path.endsWith('/ca.crt')
    ? 'docker-ca'
    : 'containerd-hosts';
}

function containerdRoots(view: HostView, { containerd }: NodeFacts): string[] {
  const host = { read: view.read, list: (path: string) => view.list(path) ?? [] };
  const { configs, spare } = readConfigs(host, containerd?.version, containerd?.configFile);
  const inForce = [...configs, ...spare].flatMap(
    (config) => pathInForce(config, containerd?.version).inForce?.roots ?? [],
  );
  return ['/etc/containerd/certs.d', ...inForce];
}
