/** Deleting objects and waiting until they are gone, as kubectl does. */
import type { AdminClient } from '../kubernetes/admin-client.ts';
import type { KubeObject } from '../kubernetes/api-request.ts';
import { objectPath } from '../kubernetes/object-path.ts';
import { eventually } from '../support/eventually.ts';

export function pathOf(admin: AdminClient, object: KubeObject): Promise<string> {
  return objectPath(object, (root) => admin.adminFetch(root));
}

/** Deletes what is there of these paths, all at once, and waits until nothing is. */
export async function endAll(admin: AdminClient, paths: readonly string[]): Promise<void> {
  await deleteAll(admin, paths);
  for (const path of paths) await untilAbsent(admin, path);
}

/** Returns at once: what has a finalizer may stay. */
export async function deleteAll(admin: AdminClient, paths: readonly string[]): Promise<void> {
  for (const path of paths) await admin.adminFetch(path, { method: 'DELETE' }).catch(unlessNotFound);
}

async function untilAbsent(admin: AdminClient, path: string): Promise<void> {
  await eventually(
    async () => {
      const object = await admin.adminFetch(path).catch(unlessNotFound);
      if (object !== undefined) throw new Error(JSON.stringify(object.metadata));
    },
    { timeout: 90_000, interval: 200, message: `${path} was still there` },
  );
}

function unlessNotFound(error: unknown): undefined {
  if ((error as { code?: number }).code !== 404) throw error;
}
