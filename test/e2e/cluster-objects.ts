/** All objects of a cluster, to compare them before and after. */
import type { AdminClient } from '../kubernetes/admin-client.ts';
import type { KubeObject } from '../kubernetes/api-request.ts';

interface Resource {
  readonly name: string;
  readonly verbs: readonly string[];
}

/** Told by the cluster itself as it goes, not made by anybody. */
const passing = ['events', 'componentstatuses'];
/** Whose content changes all the time, or is what a claim made of it. */
const byName = ['leases', 'persistentvolumes', 'endpoints', 'endpointslices', 'nodes'];

/** `group version/resource namespace/name` -> what somebody made of it: neither its status nor who wrote which field. */
export async function objectsOf(admin: AdminClient): Promise<Record<string, string>> {
  const { groups } = await admin.adminFetch<{ groups: { preferredVersion: { groupVersion: string } }[] }>(
    '/apis',
  );
  const roots = groups.map(({ preferredVersion }) => `/apis/${preferredVersion.groupVersion}`);
  const listed = await Promise.all(['/api/v1', ...roots].map((root) => listedBelow(admin, root)));
  return Object.fromEntries(listed.flat());
}

async function listedBelow(admin: AdminClient, root: string): Promise<[string, string][]> {
  const { resources } = await admin.adminFetch<{ resources: Resource[] }>(root);
  const names = resources
    .filter(({ name, verbs }) => verbs.includes('list') && !name.includes('/') && !passing.includes(name))
    .map(({ name }) => name);
  const lists = await Promise.all(
    names.map(async (name) => {
      const { items } = await admin.adminFetch<{ items: KubeObject[] }>(`${root}/${name}`);
      return items.map((item): [string, string] => [keyOf(root, name, item), madeOf(name, item)]);
    }),
  );
  return lists.flat();
}

function keyOf(root: string, resource: string, { metadata: { namespace, name } }: KubeObject): string {
  return `${root}/${resource} ${namespace === undefined ? '' : `${namespace}/`}${name}`;
}

function madeOf(resource: string, { metadata, status: _status, ...made }: KubeObject): string {
  const { uid, labels, annotations, finalizers, ownerReferences, deletionTimestamp } = metadata;
  if (byName.includes(resource)) return JSON.stringify({ uid, deletionTimestamp });
  return JSON.stringify({
    uid,
    labels,
    annotations,
    finalizers,
    ownerReferences,
    deletionTimestamp,
    ...made,
  });
}
