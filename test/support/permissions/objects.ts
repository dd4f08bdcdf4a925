/** What makes the operator use a right: objects of others, and objects as an operator before may have left them. Those of mirrors are of `hub`. */
import { newAuthoritySecret } from '../../../src/operator/certificates/authority-secret.ts';
import type { KubeObject } from '../../kubernetes/api-request.ts';
import type { Live, World } from '../operator-world.ts';

const core = '/api/v1/namespaces/default';

/** A DaemonSet that restores nodes for a mirror that is gone, and belongs to nobody. */
export async function restoringSet(world: World, name: string): Promise<void> {
  const labels = { app: 'docker-registry', mirror: name };
  await world.plane.apply({
    apiVersion: 'apps/v1',
    kind: 'DaemonSet',
    metadata: {
      name: `registry-mirror-${name}-restore`,
      namespace: 'default',
      labels,
      annotations: { 'k8s.osp.tech/restoring-since': '2026-01-01T00:00:00Z' },
    },
    spec: {
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { containers: [{ name: 'a', image: 'none' }] } },
    },
  } as Live);
}

/** An authority of the operator's of which two thirds are over. */
export async function oldAuthority(world: World): Promise<void> {
  const tenYears = 10 * 365 * 86_400_000;
  await world.plane.apply(
    (await newAuthoritySecret('default', [], new Date(Date.now() - 0.9 * tenYears))) as Live,
  );
}

/** A claim template of an expandable class. */
export function claimOf(storage: string): object {
  return { spec: { storageClassName: 'elastic', resources: { requests: { storage } } } };
}

/** The claim of the first replica, with a volume. */
export async function boundClaim(world: World): Promise<void> {
  await world.plane.apply({
    apiVersion: 'storage.k8s.io/v1',
    kind: 'StorageClass',
    metadata: { name: 'elastic' },
    provisioner: 'test.example/none',
    allowVolumeExpansion: true,
  } as Live);
  const name = 'image-store-registry-mirror-hub-0';
  await world.plane.apply({
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: { name, namespace: 'default', labels: { app: 'docker-registry', mirror: 'hub' } },
    spec: {
      accessModes: ['ReadWriteOnce'],
      storageClassName: 'elastic',
      resources: { requests: { storage: '20Gi' } },
      volumeName: 'volume',
    },
  } as Live);
  const status = { phase: 'Bound', accessModes: ['ReadWriteOnce'], capacity: { storage: '20Gi' } };
  await world.patch(`${core}/persistentvolumeclaims/${name}/status`, { status });
}

export const imageMapPath = '/apis/mapper.imagerelocation.pivotal.io/v1alpha1/namespaces/team/imagemaps/map';

/** An ImageMap in namespace `team`. */
export async function imageMap(world: World, metadata: object = {}): Promise<void> {
  await world.plane.apply({
    apiVersion: 'mapper.imagerelocation.pivotal.io/v1alpha1',
    kind: 'ImageMap',
    metadata: { name: 'map', namespace: 'team', ...metadata },
    spec: { map: [{ from: 'nginx', to: 'map.local/nginx' }] },
  } as Live);
}

/** imageswap's map. */
export async function imageswapMap(world: World, maps: string, namespace = 'default'): Promise<void> {
  const metadata = { name: 'imageswap-maps', namespace };
  await world.plane.apply({ apiVersion: 'v1', kind: 'ConfigMap', metadata, data: { maps } } as Live);
}

/** The roles `registry-mirror-cache-user` among `objects`, and an account that is bound to them. */
export function cacheUser(objects: readonly KubeObject[], account: string): KubeObject[] {
  const subjects = [{ kind: 'ServiceAccount', name: account, namespace: 'default' }];
  const roles = objects.filter(({ metadata }) => metadata.name === 'registry-mirror-cache-user');
  const bindings = roles.map(({ kind, metadata: { name, namespace } }) => ({
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: `${kind}Binding`,
    metadata: { name, ...(namespace !== undefined && { namespace }) },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind, name },
    subjects,
  }));
  const serviceAccount = {
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: { name: account, namespace: 'default' },
  };
  return [serviceAccount, ...roles, ...bindings];
}

/** A cache pod of mirror `hub`, as if it ran. */
export async function cachePod(world: World): Promise<void> {
  const labels = { app: 'docker-registry', mirror: 'hub', component: 'registry' };
  const metadata = { name: 'registry-mirror-hub-0', namespace: 'default', labels };
  const containers = ['registry', 'broker'].map((name) => ({ name, image: 'none' }));
  await world.plane.apply({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata,
    spec: { nodeName: 'node-1', containers },
  } as Live);
  const containerStatuses = containers.map(({ name, image }) => ({
    ...{ name, image, imageID: '', ready: true, restartCount: 0 },
    state: { running: {} },
  }));
  const status = { phase: 'Running', containerStatuses };
  await world.patch(`${core}/pods/${metadata.name}/status`, { status });
}
