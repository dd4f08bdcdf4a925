/** Where the API server is and who we are to it, from the environment. */
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { type Environment, text } from './environment.ts';

/** Either the service account of a pod, or kubeconfig files. */
export interface KubernetesAccess {
  readonly inCluster: boolean;
  /** Base URL of the API server, in a cluster only. */
  readonly apiServerUrl?: string;
  readonly serviceAccountDir: string;
  /** The kubeconfig to read, outside a cluster only. */
  readonly kubeconfigPath?: string;
  /** Those of `KUBECONFIG` in the place of it: a list, as kubectl takes it. */
  readonly kubeconfigPaths?: readonly string[];
}

/** The file that is named wins (`--kubeconfig`), then `KUBECONFIG`, then the pod's service account, then the user's kubeconfig. */
export function readKubernetesAccess(env: Environment, named?: string): KubernetesAccess {
  const serviceAccountDir = '/var/run/secrets/kubernetes.io/serviceaccount';
  if (named !== undefined) return { inCluster: false, serviceAccountDir, kubeconfigPath: named };
  const list = text(env, 'KUBECONFIG');
  if (list !== undefined) {
    const kubeconfigPaths = list.split(delimiter).filter((path) => path !== '');
    return { inCluster: false, serviceAccountDir, kubeconfigPaths };
  }
  const host = text(env, 'KUBERNETES_SERVICE_HOST');
  if (host !== undefined) {
    const port = text(env, 'KUBERNETES_SERVICE_PORT') ?? '443';
    const apiServerUrl = `https://${host.includes(':') ? `[${host}]` : host}:${port}`;
    return { inCluster: true, serviceAccountDir, apiServerUrl };
  }
  return { inCluster: false, serviceAccountDir, kubeconfigPath: join(homedir(), '.kube', 'config') };
}
