/** The cluster that a person's flags and environment name. */
import { processEnvironment } from '../config/environment.ts';
import { readMirrorAccess } from '../config/mirror-access.ts';
import { ConfigError } from '../config/problems.ts';
import { createClient, type KubeClient } from '../kube/client.ts';
import { loadConnection } from '../kube/connection.ts';
import { errorMessage } from '../observe/error-message.ts';
import { createLogger } from '../observe/log.ts';

export interface ClusterFlags {
  readonly namespace?: string;
  readonly context?: string;
  readonly kubeconfig?: string;
}

/** Returns a client, to be closed, and the operator's namespace. Throws `ConfigError` for a kubeconfig of no use. */
export async function connectCluster(
  flags: ClusterFlags,
  userAgent = 'registry-mirror-operator',
): Promise<{ client: KubeClient; namespace: string }> {
  const { namespace, sources } = readMirrorAccess(processEnvironment(), flags);
  const connection = await loadConnection(sources).catch((error: unknown) => {
    const { kubeconfigPath, kubeconfigPaths } = sources;
    const file = kubeconfigPath ?? kubeconfigPaths?.join(':');
    if (file === undefined) throw error;
    const named = flags.kubeconfig === undefined ? 'KUBECONFIG' : '--kubeconfig';
    throw new ConfigError([
      `${named}: expected the kubeconfig of a cluster, got ${file} (${errorMessage(error)})`,
    ]);
  });
  return { client: createClient(connection, { userAgent, logger: createLogger() }), namespace };
}
