/**
 * The kind RegistryMirror: the one source of its schema, types and defaults; `crds/` is generated from it.
 * Imports nothing of ours outside this folder; anybody may import it.
 */
import * as z from 'zod';
import type { apiVersion, kind } from './kind.ts';
import {
  anyObject,
  conditionsSchema,
  duration,
  nodeSelector,
  objectName,
  objectNameOrNone,
  quantity,
  resourceRequirements,
  taintKeyPattern,
  tolerations,
} from './schema-parts.ts';
import {
  masqueradeUrlPattern,
  proxyUrlPattern,
  redirectHostPattern,
  repositoryPrefixPattern,
  tokenHostPattern,
  upstreamUrlPattern,
} from './upstream.ts';

const volumeClaimTemplate = z
  .looseObject({
    spec: z
      .looseObject({
        storageClassName: objectNameOrNone('The storage class; the cluster default when absent.').optional(),
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
    credentialsSecret: objectNameOrNone(
      'Secret in the operator’s namespace with username and password (or of type kubernetes.io/dockerconfigjson), used towards the upstream only. Empty: none.',
    ).optional(),
    credentials: z
      .array(
        z
          .object({
            prefix: z.string().max(255).regex(new RegExp(repositoryPrefixPattern)).default('').meta({
              description: 'Repositories as clients write them; the empty text is every repository.',
            }),
            secret: objectName('Secret in the operator’s namespace, as in credentialsSecret.'),
          })
          .meta({ description: 'Credentials for the repositories below a prefix.' }),
      )
      .min(1)
      .max(32)
      .optional()
      .meta({
        description:
          'Several credentials: for each repository the one with the longest prefix counts. Instead of credentialsSecret.',
        'x-kubernetes-list-type': 'map',
        'x-kubernetes-list-map-keys': ['prefix'],
      }),
    access: z.enum(['publicOnly', 'shared', 'passThrough']).optional().meta({
      description:
        'Who may read what. publicOnly: the upstream is asked anonymously. shared: whoever reaches the mirror may read what its credentials can. passThrough: the upstream decides by each client’s own credentials. Default: shared with credentials, else publicOnly.',
    }),
    authTTL: duration(
      'passThrough: how long the upstream’s answer for one client and object counts. Default 5m.',
    ).default('5m'),
    redirectHosts: z
      .array(z.string().max(253).regex(new RegExp(redirectHostPattern)))
      .max(64)
      .optional()
      .meta({
        description:
          'Hosts (a leading *. stands for any subdomain) to which the upstream may redirect even where they have private addresses.',
        'x-kubernetes-list-type': 'atomic',
      }),
    tokenHosts: z
      .array(z.string().max(253).regex(new RegExp(tokenHostPattern)))
      .max(16)
      .optional()
      .meta({
        description:
          'Token servers that may be shown the mirror’s credentials although they are in another domain than the upstream.',
        'x-kubernetes-list-type': 'atomic',
      }),
    upstreamProxy: z.string().max(512).regex(new RegExp(proxyUrlPattern)).optional().meta({
      description:
        'HTTP proxy (CONNECT) through which the upstream, its token server and redirect targets are asked. Default: HTTPS_PROXY of the operator.',
    }),
    upstreamCA: z
      .object({
        name: objectName('ConfigMap in the operator’s namespace.'),
        key: z
          .string()
          .max(253)
          .regex(/^[-._a-zA-Z0-9]+$/)
          .default('ca.crt')
          .meta({
            description: 'Its key with PEM certificates.',
          }),
      })
      .optional()
      .meta({
        description:
          'Authorities trusted towards this upstream beside the system’s and CA_CERTIFICATE_BUNDLE.',
      }),
    upstreamTimeouts: z
      .object({
        connect: duration('Name resolution, TCP and TLS together. Default 5s.').default('5s'),
        response: duration(
          'From a request to the end of the answer’s headers; less when 3 s of silence are over and no new connection can be made. Default 20s.',
        ).default('20s'),
        idle: duration('Between two pieces of a body. Default 30s.').default('30s'),
      })
      .optional()
      .meta({ description: 'How long the upstream may take.' }),
    storage: z.enum(['persistent', 'ephemeral']).default('persistent').meta({
      description:
        'ephemeral: the cache lies on the node (emptyDir), limited to the size of volumeClaimTemplate, and is lost with its pod.',
    }),
    volumeClaimTemplate: volumeClaimTemplate.optional(),
    persistentVolumeClaimRetentionPolicy: z
      .object({
        whenDeleted: retention('What happens to the claims when the mirror is deleted.'),
        whenScaled: retention('What happens to the claims of replicas that are scaled away.'),
      })
      .optional()
      .meta({ description: 'Whether cache volumes outlive what they were made for. Default Retain.' }),
    priorityClass: objectNameOrNone(
      'priorityClassName of the cache pods and node agents. Default: none for the cache, the operator’s NODE_PRIORITY_CLASS for the agents. Empty: none for both.',
    ).optional(),
    replicas: z.int().min(0).max(64).default(2).meta({ description: 'Cache replicas.', format: 'int32' }),
    cache: z
      .object({
        tagPolicy: z.enum(['revalidate', 'background', 'immutable']).default('revalidate').meta({
          description:
            'How tags stay fresh once tagTTL is over. revalidate: the upstream is asked first, for at most a second. background: the copy is served and refreshed behind. immutable: a cached tag is never asked for again.',
        }),
        tagTTL: duration('How long a tag is served without asking the upstream. Default 60s.').default('60s'),
        maxSize: quantity(
          'What the cache may hold at most. Default, and upper bound: 80 % of the volume.',
        ).optional(),
        inactive: duration(
          'What nobody asked for in this time is removed. Default: nothing is removed while there is room.',
        ).optional(),
      })
      .optional()
      .meta({ description: 'What is kept and for how long.' }),
    resources: resourceRequirements(
      'Resources of the cache container (nginx). Default: 100m CPU and 256Mi requested, no limit.',
    ).optional(),
    broker: z
      .object({
        resources: resourceRequirements(
          'Resources of the broker container. Default: 50m CPU and 128Mi requested for each of its processes, no limit.',
        ).optional(),
        processes: z
          .int()
          .min(1)
          .max(8)
          .default(1)
          .meta({ description: 'More than one where a core is not enough for the misses.', format: 'int32' }),
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
        affinity: anyObject(
          'Affinity of the node agents. Default: no nodes of Fargate or of a virtual kubelet, which cannot run them.',
        ).optional(),
        resources: resourceRequirements(
          'Resources of the node agent. Default: 10m CPU and 96Mi requested, 192Mi limit.',
        ).optional(),
        wire: z.enum(['alias', 'transparent']).optional().meta({
          description:
            'alias (default): pulls of the masquerade name go to the mirror. transparent: those of the upstream’s own names too, with the upstream behind the mirror; no workload changes.',
        }),
        runtimes: z
          .array(z.enum(['auto', 'docker', 'containerd', 'crio', 'hosts']))
          .min(1)
          .max(5)
          .optional()
          .meta({
            description:
              'What is wired on a node. Default auto: every container runtime that is found there. hosts: the hosts file, also where nothing needs it.',
            'x-kubernetes-list-type': 'set',
          }),
        endpoint: z.enum(['loopback', 'service']).optional().meta({
          description:
            'loopback (default): runtimes dial the agent on the node, which speaks TLS to the mirror and listens only while that answers. service: they dial the Service, with the CA on the node’s disk.',
        }),
        containerd: z.enum(['report', 'configure', 'configureAndRestart']).optional().meta({
          description:
            'What is done about a containerd that reads no hosts.toml because config_path is not set. report (default): it is said. configure: it is set, in force when containerd is next started. configureAndRestart: containerd is restarted too, on 1 % of the nodes at a time.',
        }),
        foreignFiles: z.enum(['refuse', 'takeover']).optional().meta({
          description:
            'A file of somebody else where one of ours belongs: refuse (default) leaves it and says so, takeover replaces it until the node is restored.',
        }),
        foreignHostsLines: z.enum(['override', 'respect']).optional().meta({
          description:
            'A line of somebody else for a name of ours in the hosts file: override (default) puts ours before it, respect writes none.',
        }),
        startupTaint: z.string().max(316).regex(new RegExp(taintKeyPattern)).optional().meta({
          description:
            'Key of a taint that new nodes are registered with; removed when the node’s agent says that it is wired, at the latest 2 minutes after the agent’s pod was made.',
        }),
        clientCertificate: z.boolean().optional().meta({
          description:
            'True: only who shows a client certificate of the operator’s authority may read; node agents do. Default: true with credentials where all nodes are wired by their agents (transparent, endpoint loopback).',
        }),
      })
      .optional()
      .meta({ description: 'Which nodes are wired and what the agent on them may use.' }),
  })
  .meta({ description: 'What is mirrored and how.' });

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
    cacheSize: z.string().optional().meta({ description: 'What all replicas hold together, and may hold.' }),
    hitRatio: z.string().optional().meta({
      description: 'Share of the bytes served in the last hour that did not come from the upstream.',
    }),
    lastPull: z
      .string()
      .optional()
      .meta({ description: 'When something was last pulled through the mirror.', format: 'date-time' }),
    nodePort: z.int().optional().meta({
      description:
        'Port of the mirror on every wired node: on loopback its forwarder, on the node’s address its agent where that is the mirror’s alone.',
      format: 'int32',
    }),
    nodes: z.string().optional().meta({
      description:
        'Nodes that are wired (while no agent has told: whose agent has made its pass), and all selected nodes.',
    }),
    conditions: conditionsSchema.optional(),
  })
  .meta({ description: 'What the operator has seen and done.' });

/** The whole object without `apiVersion`, `kind` and `metadata`, which Kubernetes itself defines. */
export const registryMirrorSchema = z.object({ spec: specSchema, status: statusSchema.optional() });

/** `spec` as users write it. */
export type RegistryMirrorSpecInput = z.input<typeof specSchema>;
/** `spec` with its defaults filled in. */
export type RegistryMirrorSpec = z.output<typeof specSchema>;
export type RegistryMirrorStatus = z.output<typeof statusSchema>;
export type { Condition } from './schema-parts.ts';
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
