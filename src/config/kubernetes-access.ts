/** Where the API server is and who we are to it, from the environment. */
import { homedir } from 'node:os';
import { join } from 'node:path';
import { type Environment, text } from './environment.ts';

/** Either the service account of a pod, or a kubeconfig file. */
export interface KubernetesAccess {
  readonly inCluster: boolean;
  /** Base URL of the API server, in a cluster only. */
  readonly apiServerUrl?: string;
  readonly serviceAccountDir: string;
  /** The kubeconfig to read, outside a cluster only. */
  readonly kubeconfigPath?: string;
}

/** `KUBECONFIG` wins, then the pod's service account, then the user's kubeconfig. */
export function readKubernetesAccess(env: Environment): KubernetesAccess {
  const serviceAccountDir = '/var/run/secrets/kubernetes.io/serviceaccount';
  const kubeconfigPath = text(env, 'KUBECONFIG');
  if (kubeconfigPath !== undefined) return { inCluster: false, serviceAccountDir, kubeconfigPath };
  const host = text(env, 'KUBERNETES_SERVICE_HOST');
  if (host !== undefined) {
    const port = text(env, 'KUBERNETES_SERVICE_PORT') ?? '443';
    const apiServerUrl = `https://${host.includes(':') ? `[${host}]` : host}:${port}`;
    return { inCluster: true, serviceAccountDir, apiServerUrl };
  }
  return { inCluster: false, serviceAccountDir, kubeconfigPath: join(homedir(), '.kube', 'config') };
}
