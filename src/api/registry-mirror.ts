/**
 * The kind RegistryMirror: the one source of its schema, types and defaults; `crds/` is generated from it.
 * Imports nothing of ours outside this folder; anybody may import it.
 */
import * as z from 'zod';
import type { apiVersion, kind } from './kind.ts';
import {
  anyObject,
  duration,
  nodeSelector,
  objectName,
  quantity,
  resourceRequirements,
  storageClassName,
  tolerations,
} from './schema-parts.ts';
import { masqueradeUrlPattern, upstreamUrlPattern } from './upstream.ts';

const volumeClaimTemplate = z
  .looseObject({
    spec: z
      .looseObject({
        storageClassName: storageClassName('The storage class; the cluster default when absent.').optional(),
        accessModes: z
          .array(z.enum(['ReadWriteOnce', 'ReadOnlyMany', 'ReadWriteMany', 'ReadWriteOncePod']))
          .max(4)
          .optional()
          .meta({ description: 'Default ReadWriteOnce.', 'x-kubernetes-list-type': 'atomic' }),
        volumeMode: z.enum(['Filesystem']).optional().meta({ description: 'The cache needs a file system.' }),
        resources: z
          .looseObject({
            requests: z
              .looseObject({ storage: quantity('Size of each replica’s volume. Default 20Gi.').optional() })
              .optional()
              .meta({ description: 'Requests of the claim.', 'x-kubernetes-preserve-unknown-fields': true }),
          })
          .optional()
          .meta({ description: 'Resources of the claim.', 'x-kubernetes-preserve-unknown-fields': true }),
      })
      .optional()
      .meta({ description: 'Used as the claim’s spec.', 'x-kubernetes-preserve-unknown-fields': true }),
  })
  .meta({
    description:
      'A PersistentVolumeClaim-like object for the cache volume; its spec is used. Default 20Gi, ReadWriteOnce.',
    'x-kubernetes-preserve-unknown-fields': true,
  });

const retention = (description: string) =>
  z.enum(['Retain', 'Delete']).default('Retain').meta({ description });

const specSchema = z
  .object({
    upstreamUrl: z.string().min(1).max(512).regex(new RegExp(upstreamUrlPattern)).meta({
      description:
        'The registry to mirror: host[:port], optionally with https:// or http:// in front and a path prefix behind. Every spelling of Docker Hub works.',
    }),
    masqueradeUrl: z.string().min(1).max(253).regex(new RegExp(masqueradeUrlPattern)).optional().meta({
      description:
        'The host name, optionally with a port, under which clients reach the mirror. Default: mirror- and the upstream’s host.',
    }),
    credentialsSecret: objectName(
      'Secret in the operator’s namespace with username and password (or of type kubernetes.io/dockerconfigjson), used towards the upstream only.',
    ).optional(),
    volumeClaimTemplate: volumeClaimTemplate.optional(),
    persistentVolumeClaimRetentionPolicy: z
      .object({
        whenDeleted: retention('What happens to the claims when the mirror is deleted.'),
        whenScaled: retention('What happens to the claims of replicas that are scaled away.'),
      })
      .optional()
      .meta({ description: 'Whether cache volumes outlive what they were made for. Default Retain.' }),
    priorityClass: objectName(
      'priorityClassName of the cache pods and node agents. Default: none for the cache, system-node-critical for the agents.',
    ).optional(),
    replicas: z.int().min(0).max(64).default(2).meta({ description: 'Cache replicas.', format: 'int32' }),
    cache: z
      .object({
        tagPolicy: z.enum(['revalidate']).default('revalidate').meta({
          description:
            'How tags stay fresh. revalidate: asked of the upstream again once tagTTL is over, stale only if that fails.',
        }),
        tagTTL: duration('How long a tag is served without asking the upstream. Default 60s.').default('60s'),
      })
      .optional()
      .meta({ description: 'What is kept and for how long.' }),
    resources: resourceRequirements(
      'Resources of the cache container (nginx). Default: 100m CPU and 256Mi requested, no limit.',
    ).optional(),
    broker: z
      .object({
        resources: resourceRequirements(
          'Resources of the broker container. Default: 50m CPU and 128Mi requested, no CPU limit.',
        ).optional(),
      })
      .optional()
      .meta({ description: 'The container that talks to the upstream.' }),
    nodeSelector: nodeSelector('Nodes on which cache pods may run.').optional(),
    tolerations: tolerations('Taints the cache pods tolerate.').optional(),
    affinity: anyObject(
      'Affinity of the cache pods. Default: replicas spread over zones and nodes.',
    ).optional(),
    nodes: z
      .object({
        nodeSelector: nodeSelector(
          'Nodes that are wired to the mirror. Default: every Linux node.',
        ).optional(),
        tolerations: tolerations('Taints the node agents tolerate.').optional(),
        affinity: anyObject('Affinity of the node agents.').optional(),
        resources: resourceRequirements(
          'Resources of the node agent. Default: 10m CPU and 96Mi requested, 192Mi limit.',
        ).optional(),
      })
      .optional()
      .meta({ description: 'Which nodes are wired and what the agent on them may use.' }),
  })
  .meta({ description: 'What is mirrored and how.' });

const conditionSchema = z
  .object({
    type: z.string().max(316).meta({ description: 'What the condition is about, in CamelCase.' }),
    status: z.enum(['True', 'False', 'Unknown']).meta({ description: 'Whether it holds.' }),
    reason: z.string().max(1024).meta({ description: 'The cause as one CamelCase word.' }),
    message: z.string().max(32768).meta({ description: 'The cause for people.' }),
    lastTransitionTime: z.string().meta({ description: 'When status last changed.', format: 'date-time' }),
    observedGeneration: z
      .int()
      .optional()
      .meta({ description: 'The generation it was computed from.', format: 'int64' }),
  })
  .meta({ description: 'One aspect of the state.' });

const statusSchema = z
  .object({
    observedGeneration: z
      .int()
      .optional()
      .meta({ description: 'The newest generation acted upon.', format: 'int64' }),
    upstream: z.string().optional().meta({ description: 'The upstream as it is dialled.' }),
    masquerade: z.string().optional().meta({ description: 'The name under which clients reach the mirror.' }),
    address: z.string().optional().meta({ description: 'The first of the cluster IPs.' }),
    clusterIPs: z.array(z.string()).optional().meta({
      description: 'Cluster IPs of the Service; asked for again if it must be made anew.',
      'x-kubernetes-list-type': 'atomic',
    }),
    replicas: z.int().optional().meta({ description: 'Cache replicas that exist.', format: 'int32' }),
    readyReplicas: z.int().optional().meta({ description: 'Cache replicas that serve.', format: 'int32' }),
    selector: z
      .string()
      .optional()
      .meta({ description: 'Selects the cache pods; for the scale subresource.' }),
    cache: z.string().optional().meta({ description: 'Ready and wanted cache replicas.' }),
    nodes: z
      .string()
      .optional()
      .meta({ description: 'Nodes whose agent has made its pass, and all selected nodes.' }),
    conditions: z
      .array(conditionSchema)
      .optional()
      .meta({
        description: 'The state in detail.',
        'x-kubernetes-list-type': 'map',
        'x-kubernetes-list-map-keys': ['type'],
      }),
  })
  .meta({ description: 'What the operator has seen and done.' });

/** The whole object without `apiVersion`, `kind` and `metadata`, which Kubernetes itself defines. */
export const registryMirrorSchema = z.object({ spec: specSchema, status: statusSchema.optional() });

/** `spec` as users write it. */
export type RegistryMirrorSpecInput = z.input<typeof specSchema>;
/** `spec` with its defaults filled in. */
export type RegistryMirrorSpec = z.output<typeof specSchema>;
export type RegistryMirrorStatus = z.output<typeof statusSchema>;
export type Condition = z.output<typeof conditionSchema>;
export type ResourceRequirements = NonNullable<RegistryMirrorSpec['resources']>;
export type Toleration = NonNullable<RegistryMirrorSpec['tolerations']>[number];

/** A RegistryMirror whose spec passed the schema; `metadata` as Kubernetes gives it. */
export interface RegistryMirror {
  readonly apiVersion: typeof apiVersion;
  readonly kind: typeof kind;
  readonly metadata: {
    readonly name: string;
    readonly uid?: string;
    readonly generation?: number;
    readonly resourceVersion?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
    readonly finalizers?: readonly string[];
    readonly creationTimestamp?: string;
    readonly deletionTimestamp?: string;
  };
  readonly spec: RegistryMirrorSpec;
  readonly status?: RegistryMirrorStatus;
}
