/** What an operator makes for all mirrors belongs to none of them, and stays when the operator goes: removed by name here. */
import { kind } from '../api/kind.ts';
import { caSecretName, fieldManager, sharedNodesName, webhookNames } from '../api/names.ts';
import { ConfigError } from '../config/problems.ts';
import type { KubeClient } from '../kube/client.ts';
import { ApiError } from '../kube/errors.ts';
import { leaseType } from '../kube/lease.ts';
import type { ResourceType } from '../kube/resource-type.ts';
import { errorMessage } from '../observe/error-message.ts';
import { certificates, daemonSets, registryMirrors, secrets, services } from '../operator/resource-types.ts';
import { needing } from './needing.ts';

export interface DeleteLeftoversOptions {
  readonly client: KubeClient;
  /** Where the operator ran. */
  readonly namespace: string;
  /** Mirrors are the cluster's: who has no right outside the namespace sees by their Services whether there are any. */
  readonly byServices: boolean;
  /** Asks the API server, which deletes nothing. */
  readonly dryRun: boolean;
  readonly print: (line: string) => void;
  readonly signal: AbortSignal;
}

/** In this order: agents before the certificates they show. The lease has the operator's name. */
const leftovers: readonly (readonly [ResourceType, string])[] = [
  [daemonSets, sharedNodesName],
  [secrets, sharedNodesName],
  [certificates, webhookNames.certificate],
  [secrets, webhookNames.secret],
  [secrets, caSecretName],
  [leaseType, fieldManager],
];

/**
 * Prints a line for each object it deletes, or that there was none. Throws `ConfigError` while there is a mirror, which would lose its authority, and
 * for what the caller may not delete: after all others, since he may lack a right to something that is not even there.
 */
export async function deleteLeftovers(options: DeleteLeftoversOptions): Promise<void> {
  const { namespace, dryRun, print } = options;
  await assertNoMirrors(options);
  let deleted = 0;
  const refusals: string[] = [];
  for (const leftover of leftovers) {
    const outcome = await deleteOne(leftover, options);
    if (outcome instanceof ApiError) refusals.push(errorMessage(outcome));
    else if (outcome) {
      const [{ kind: what }, name] = leftover;
      print(`${what} ${namespace}/${name}: ${dryRun ? 'would be deleted' : 'deleted'}`);
      deleted += 1;
    }
  }
  if (refusals.length > 0) throw new ConfigError(refusals);
  if (deleted === 0) print(`Nothing of an operator is left in namespace ${namespace}`);
}

/** Whether it was there, or that it may not be deleted. */
async function deleteOne(
  [type, name]: (typeof leftovers)[number],
  { client, namespace, dryRun, signal }: DeleteLeftoversOptions,
): Promise<boolean | ApiError> {
  try {
    return await client
      .delete(type, { namespace, name }, { dryRun, signal })
      .catch(needing(`delete ${type.plural} ${name} in namespace ${namespace}`));
  } catch (error) {
    if (error instanceof ApiError && error.forbidden) return error;
    throw error;
  }
}

async function assertNoMirrors(options: DeleteLeftoversOptions): Promise<void> {
  const names = await (options.byServices ? mirrorsOfServices(options) : mirrors(options));
  if (names.length === 0) return;
  throw new ConfigError([
    `There are RegistryMirrors: ${names.join(', ')}. Delete them first: registry-mirror-operator uninstall`,
  ]);
}

async function mirrors({ client, signal }: DeleteLeftoversOptions): Promise<string[]> {
  const { items } = await client.listAll(registryMirrors, { signal }).catch((error: unknown) => {
    if (error instanceof ApiError && error.notFound) return { items: [] };
    return needing(`list registrymirrors.${registryMirrors.group}`)(error);
  });
  return items.map(({ metadata }) => metadata.name);
}

/** Who owns a Service. The operator deletes a mirror's Services before it lets go of the mirror. */
async function mirrorsOfServices({ client, namespace, signal }: DeleteLeftoversOptions): Promise<string[]> {
  const { items } = await client
    .listAll(services, { namespace, signal })
    .catch(needing(`list services in namespace ${namespace}`));
  const owners = items.flatMap(({ metadata }) => metadata.ownerReferences ?? []);
  const names = owners.filter((owner) => owner.kind === kind).map(({ name }) => name);
  return [...new Set(names)].sort();
}
