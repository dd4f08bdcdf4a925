/** Where `purge` and `warm` find the replicas of a mirror, from flags and environment. */
import { type Environment, namespaceOf } from './environment.ts';
import { readKubernetesAccess } from './kubernetes-access.ts';
import { Problems } from './problems.ts';

/** Ready for `loadConnection`. */
export interface MirrorAccess {
  readonly namespace: string;
  readonly sources: {
    readonly kubeconfigPath?: string;
    readonly kubeconfigPaths?: readonly string[];
    readonly kubeconfigContext?: string;
    readonly serviceAccountDir?: string;
    readonly apiServerUrl?: string;
  };
}

/** Flags win over `NAMESPACE` and `KUBECONFIG`; a context can only be one of a kubeconfig. Throws `ConfigError`. */
export function readMirrorAccess(
  env: Environment,
  flags: { readonly namespace?: string; readonly context?: string; readonly kubeconfig?: string },
): MirrorAccess {
  const problems = new Problems();
  const namespace = flags.namespace ?? namespaceOf(env, 'NAMESPACE', problems) ?? 'default';
  const { inCluster, ...access } = readKubernetesAccess(env, flags.kubeconfig);
  if (flags.context !== undefined && inCluster) {
    problems.add('--context', 'a kubeconfig that has it');
  }
  problems.throwIfAny();
  return {
    namespace,
    sources: {
      ...access,
      ...(flags.context !== undefined && { kubeconfigContext: flags.context }),
    },
  };
}
