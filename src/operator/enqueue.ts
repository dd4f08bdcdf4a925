/** Puts the key of every mirror that a change concerns into the queue. */
import { caSecretName, sharedNodesName } from '../api/names.ts';
import type { OperatorSettings } from '../api/settings.ts';
import type { KubeObject } from '../kube/object.ts';
import type { StoreChange } from '../kube/store.ts';
import type { WorkQueue } from '../kube/work-queue.ts';
import type { LiveView } from './live-view.ts';
import {
  type Affected,
  masqueradeHosts,
  mirrorsOf,
  mirrorsOfDaemonSet,
  mirrorsOfIssuer,
  mirrorsOfSecret,
} from './mirror-keys.ts';
import { serviceRivals } from './registry-mirror/obstacles.ts';
import { credentialsIndex, masqueradeIndex, type Views } from './views.ts';

/** Adds all mirrors now and those concerned by each later change; returns what ends that. */
export function enqueueChanges(
  views: Views,
  settings: OperatorSettings,
  queue: WorkQueue,
  keys: { readonly mapKey: string; readonly sharedNodesKey: string },
): () => void {
  const named = (mirrors: readonly KubeObject[]) => mirrors.map(({ metadata }) => metadata.name);
  const add = (affected: Affected) => {
    for (const name of affected === 'all' ? named(views.mirrors.list()) : affected) queue.add(name);
  };
  const withCredentials = (secret: string) => named(views.mirrors.byIndex(credentialsIndex, secret));
  const rivals = (mirror: KubeObject) =>
    masqueradeHosts(mirror).flatMap((host) => named(views.mirrors.byIndex(masqueradeIndex, host)));
  const on = (view: LiveView | undefined, affected: (object: KubeObject) => Affected) =>
    view?.subscribe((change) => {
      for (const object of states(change)) add(affected(object));
    });
  const ends = [
    on(views.mirrors, (mirror) => {
      const { name } = mirror.metadata;
      return [name, ...serviceRivals(name), ...rivals(mirror)];
    }),
    on(views.secrets, (secret) => mirrorsOfSecret(secret, settings, withCredentials)),
    on(views.issuers, mirrorsOfIssuer),
    on(views.caBundle, () => 'all'),
    on(views.daemonSets, mirrorsOfDaemonSet),
    ...[views.services, views.statefulSets, views.disruptionBudgets, views.claims, views.certificates].map(
      (view) => on(view, mirrorsOf),
    ),
    ...mapEnds(views, settings, () => queue.add(keys.mapKey)),
    ...sharedEnds(views, () => queue.add(keys.sharedNodesKey)),
  ];
  add('all');
  for (const set of views.daemonSets.list()) add(mirrorsOf(set));
  return () => {
    for (const end of ends) end?.();
  };
}

/** The state before counts, too: a name that was given up may be awaited by another mirror. */
function states({ object, previous }: StoreChange): readonly KubeObject[] {
  return previous === undefined ? [object] : [object, previous];
}

/** A mirror that comes or goes, the agents' own objects, and the authority. */
function sharedEnds(views: Views, add: () => void) {
  add();
  const isTheirs = ({ metadata: { name } }: KubeObject) => name === sharedNodesName || name === caSecretName;
  const on = (view: LiveView) =>
    view.subscribe(({ object }) => {
      if (isTheirs(object)) add();
    });
  const ofMirrors = views.mirrors.subscribeToAll(({ type, object, previous }) => {
    const isLeaving = object.metadata.deletionTimestamp !== previous?.metadata.deletionTimestamp;
    if (type !== 'MODIFIED' || isLeaving) add();
  });
  return [ofMirrors, on(views.secrets), on(views.daemonSets)];
}

/** The map is made of what we wrote ourselves, too. */
function mapEnds(views: Views, settings: OperatorSettings, add: () => void) {
  if (settings.addressingScheme !== 'services') return [];
  add();
  return [views.mirrors, views.services, views.configMaps].map((view) => view?.subscribeToAll(add));
}
