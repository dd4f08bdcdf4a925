/** Workloads as anybody writes them: nothing in them knows of a mirror. */
import type { KubeObject } from '../kubernetes/api-request.ts';

export interface Workload {
  readonly image: string;
  readonly namespace?: string;
  readonly replicas?: number;
  /** Secret of type dockerconfigjson. */
  readonly pullSecret?: string;
}

/** How many pods a workload has where it does not say. */
export const usualReplicas = 2;

/** A Deployment whose pods are spread over the nodes, ask for the image each time, and are gone at once. */
export function deploymentOf(name: string, workload: Workload): KubeObject {
  const { namespace = 'default', image, replicas = usualReplicas, pullSecret } = workload;
  const labels = { app: name };
  const spread = {
    maxSkew: 1,
    topologyKey: 'kubernetes.io/hostname',
    whenUnsatisfiable: 'ScheduleAnyway',
    labelSelector: { matchLabels: labels },
  };
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name, namespace },
    spec: {
      replicas,
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
        spec: {
          terminationGracePeriodSeconds: 0,
          topologySpreadConstraints: [spread],
          containers: [{ name: 'app', image, imagePullPolicy: 'Always' }],
          ...(pullSecret !== undefined && { imagePullSecrets: [{ name: pullSecret }] }),
        },
      },
    },
  };
}
