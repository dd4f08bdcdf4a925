/** The objects of one mirror as the API server has them, and what of their fields is read here. */
import type { KubeObject } from '../../kube/object.ts';

/** A Service as far as it is read here. */
export interface LiveService extends KubeObject {
  readonly spec?: { readonly clusterIP?: string; readonly clusterIPs?: readonly string[] };
}

/** A volume of a pod as far as it is read here. */
export interface LiveVolume {
  readonly name: string;
  readonly secret?: { readonly secretName?: string };
}

/** A StatefulSet as far as it is read here. */
export interface LiveStatefulSet extends KubeObject {
  readonly spec?: {
    readonly replicas?: number;
    readonly volumeClaimTemplates?: readonly LiveClaim[];
    readonly template?: {
      readonly spec?: {
        readonly volumes?: readonly LiveVolume[];
        readonly containers?: readonly {
          readonly volumeMounts?: readonly { readonly name: string; readonly mountPath: string }[];
        }[];
      };
    };
  };
  readonly status?: {
    readonly observedGeneration?: number;
    readonly replicas?: number;
    readonly readyReplicas?: number;
    /** With the pod template as it is now. */
    readonly updatedReplicas?: number;
  };
}

/** A DaemonSet as far as it is read here. */
export interface LiveDaemonSet extends KubeObject {
  readonly spec?: {
    readonly template?: {
      readonly metadata?: { readonly annotations?: Readonly<Record<string, string>> };
      readonly spec?: Readonly<Record<string, unknown>>;
    };
  };
  readonly status?: {
    readonly observedGeneration?: number;
    readonly desiredNumberScheduled?: number;
    readonly updatedNumberScheduled?: number;
    readonly numberMisscheduled?: number;
    readonly numberReady?: number;
  };
}

/** A PersistentVolumeClaim, or the template of one, as far as it is read here. */
export interface LiveClaim extends KubeObject {
  readonly spec?: {
    readonly storageClassName?: string;
    readonly accessModes?: readonly string[];
    readonly resources?: { readonly requests?: { readonly storage?: string } };
  };
  readonly status?: {
    readonly phase?: string;
    readonly capacity?: { readonly storage?: string };
    readonly conditions?: readonly { readonly type: string; readonly status: string }[];
  };
}

/** What exists for a mirror; absent fields are objects that do not exist. */
export interface LiveObjects {
  readonly service?: LiveService;
  readonly headlessService?: KubeObject;
  readonly leafSecret?: KubeObject;
  readonly clientSecret?: KubeObject;
  readonly configSecret?: KubeObject;
  readonly statefulSet?: LiveStatefulSet;
  readonly disruptionBudget?: KubeObject;
  readonly daemonSet?: LiveDaemonSet;
  /** Restores the nodes that left the selection. */
  readonly restoreDaemonSet?: LiveDaemonSet;
  readonly certificate?: KubeObject;
  /** Claims of the cache replicas, by name. */
  readonly claims: readonly LiveClaim[];
}

/** The Service's addresses; none while it has none, or for a headless one. */
export function clusterIPsOf(service: LiveService | undefined): readonly string[] {
  const { clusterIP, clusterIPs } = service?.spec ?? {};
  const all = clusterIPs ?? (clusterIP ? [clusterIP] : []);
  return all.filter((ip) => ip !== '' && ip !== 'None');
}
