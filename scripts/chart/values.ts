/** The values of the chart: what each means, its default and its schema. Defaults of pods are those of deploy/. Pure. */

import { workloadBlocks } from './workload.ts';
import { blockValue } from './yaml-text.ts';

export type Schema = Readonly<Record<string, unknown>>;

/** A value, or a group of them. */
export interface Value {
  readonly description: string;
  readonly default?: unknown;
  readonly schema?: Schema;
  readonly values?: Readonly<Record<string, Value>>;
}

/** The manifests whose settings are defaults of the chart. */
export interface DefaultManifests {
  readonly operator: string;
  readonly webhook: string;
  readonly networkPolicies: string;
  /** The ConfigMap with the dashboard. */
  readonly dashboard: string;
}

const text: Schema = { type: 'string' };
const filled: Schema = { ...text, minLength: 1 };
const truth: Schema = { type: 'boolean' };
const name: Schema = { type: 'string', pattern: '^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?)?$' };
const texts: Schema = { type: 'object', additionalProperties: text };
const objects: Schema = { type: 'array', items: { type: 'object' } };
const quantities: Schema = { type: 'object', additionalProperties: { type: ['string', 'number'] } };
const resources = closed({ requests: quantities, limits: quantities, claims: objects });
const affinity = closed({ nodeAffinity: open(), podAffinity: open(), podAntiAffinity: open() });
const volumes: Schema = {
  type: 'array',
  items: { type: 'object', properties: { name: filled }, required: ['name'] },
};
const volumeMounts: Schema = {
  type: 'array',
  items: {
    ...closed({
      name: filled,
      mountPath: filled,
      subPath: text,
      subPathExpr: text,
      readOnly: truth,
      recursiveReadOnly: text,
      mountPropagation: text,
    }),
    required: ['name', 'mountPath'],
  },
};
const tolerations: Schema = {
  type: 'array',
  items: closed({
    key: text,
    operator: { type: 'string', enum: ['Exists', 'Equal', 'Lt', 'Gt'] },
    value: text,
    effect: { type: 'string', enum: ['NoSchedule', 'PreferNoSchedule', 'NoExecute'] },
    tolerationSeconds: { type: 'integer' },
  }),
};

/** Returns all of them, by name. */
export function chartValues(manifests: DefaultManifests): Readonly<Record<string, Value>> {
  return {
    image: group('The image of every pod: operator, webhook, caches and node agents are one.', {
      repository: value('Registry and name, without a tag.', 'registry-mirror-operator', filled),
      tag: value('Its tag; empty: the version of the chart’s application.', '', text),
      digest: value('Its digest; it counts instead of the tag.', '', {
        type: 'string',
        pattern: '^(sha256:[0-9a-f]{64})?$',
      }),
      pullPolicy: value('When the operator’s and the webhook’s pods pull it.', 'IfNotPresent', {
        type: 'string',
        enum: ['Always', 'IfNotPresent', 'Never'],
      }),
    }),
    imagePullSecrets: value(
      'Secrets by which all pods, also those that the operator makes, pull images: `[{name: regcred}]`.',
      [],
      { type: 'array', items: { ...closed({ name: { ...name, minLength: 1 } }), required: ['name'] } },
    ),
    labels: value(
      'Further labels of every object of the chart, or other values of those it has, but for `app.kubernetes.io/name` and `managed-by`.',
      {},
      texts,
    ),
    addressingScheme: value(
      '`hostess`: nodes are wired to the mirrors. `services`: images are rewritten to the mirrors’ addresses.',
      'hostess',
      { type: 'string', enum: ['hostess', 'services'] },
    ),
    nodeDaemonSets: value(
      '`shared`: one node agent for all mirrors. `perMirror`: a DaemonSet for each.',
      'shared',
      {
        type: 'string',
        enum: ['shared', 'perMirror'],
      },
    ),
    startupTaints: value(
      'The operator may list and patch nodes, to remove the taint of `spec.nodes.startupTaint`; false where no mirror names one.',
      true,
      truth,
    ),
    imageswapNamespace: value(
      'Where the ConfigMap `imageswap-maps` is; empty: the release’s namespace. It must be there: operator and webhook get a Role in it, for that ConfigMap alone.',
      '',
      name,
    ),
    hostessImage: group(
      'A mirror-hostess image of your own that keeps the hosts files, instead of the node agent.',
      {
        repository: value('Its name; empty: none.', '', text),
        tag: value('The tag of that image.', '', text),
      },
    ),
    operator: group('The operator’s Deployment.', {
      ...deployment(manifests.operator, '2: one acts, the other takes over.'),
      env: value(
        'Further variables of the operator, by name (README.md, docs/rewriting.md).',
        {},
        variables('^[A-Za-z_][A-Za-z0-9_]*$'),
      ),
    }),
    rewriting: group('Images of pods are rewritten by rules (docs/rewriting.md).', {
      engine: value('Who rewrites them.', 'none', {
        type: 'string',
        enum: ['none', 'webhook', 'policy', 'auto'],
      }),
      env: value(
        'Variables that operator and webhook share, by name: `GILLY_REGISTRY`, `WEBHOOK_FAILURE_POLICY`, ...',
        {},
        variables('^[A-Z][A-Z0-9_]*$'),
      ),
    }),
    webhook: group('The rewriting webhook’s Deployment; there is none while `rewriting.engine` is `none`.', {
      enabled: value(
        'False only with engine `policy`: what a policy cannot express is not rewritten then.',
        true,
        truth,
      ),
      ...deployment(manifests.webhook, '2: one goes on while a node is drained.'),
      env: value(
        'Further variables of the webhook alone, by name.',
        {},
        variables('^[A-Za-z_][A-Za-z0-9_]*$'),
      ),
    }),
    criticalPodsQuota: group('The priority classes of agents and webhook.', {
      enabled: value(
        'Make a ResourceQuota that lets pods of the release’s namespace have the classes `system-node-critical` and `system-cluster-critical`: GKE wants one outside of `kube-system`. It limits nothing.',
        true,
        truth,
      ),
    }),
    certManager: group('For scheme `services` with cert-manager.', {
      createIssuer: value(
        'Make the Issuer `mirror-operator-issuer` with an authority of its own.',
        false,
        truth,
      ),
    }),
    cacheUsers: group('Rights of people and pipelines that use `purge` and `warm`.', {
      createRoles: value(
        'Make the ClusterRole and the Role `registry-mirror-cache-user`, to be bound by you.',
        false,
        truth,
      ),
    }),
    networkPolicy: group('Who may connect to our pods (docs/operations.md#network-policies).', {
      enabled: value('Make NetworkPolicies for operator, caches and webhook.', false, truth),
      clients: value(
        'Peers that may pull from caches, as in a NetworkPolicy; empty: everybody, because nodes cannot be selected with every network plug-in.',
        [],
        objects,
      ),
      metrics: value(
        'Peers that may read the metrics of caches, beside the operator.',
        blockValue(manifests.networkPolicies, '        - namespaceSelector:'),
        objects,
      ),
    }),
    monitoring: group('Metrics, alerts and a dashboard, for a cluster with prometheus-operator.', {
      enabled: value(
        'Make PodMonitors, a PrometheusRule and the ConfigMap of a Grafana dashboard.',
        false,
        truth,
      ),
      labels: value(
        'Further labels of PodMonitors and PrometheusRule, where Prometheus selects them by one: `{release: kube-prometheus-stack}`.',
        {},
        texts,
      ),
      dashboardLabels: value(
        'Labels by which Grafana’s sidecar finds the dashboard.',
        blockValue(manifests.dashboard, '  labels:'),
        texts,
      ),
      runbookPage: value('Address of the page with a section for each alert.', 'docs/operations.md', filled),
    }),
    crds: group('The CustomResourceDefinitions.', {
      install: value('Install and upgrade them with the release.', true, truth),
      keep: value(
        'Keep them, and with them what there is of their kinds, when the release is uninstalled or an upgrade takes them out (`install: false`; those of rewriting: `rewriting.engine: none`).',
        true,
        truth,
      ),
    }),
    uninstall: group('What happens when the release is uninstalled.', {
      enabled: value(
        'Delete all RegistryMirrors first, so that the operator restores the nodes, and what the operator made for all of them last.',
        true,
        truth,
      ),
      timeout: value(
        'How long that may take, like `10m`; give `helm uninstall --timeout` a minute more. Nodes that cannot be reached are waited for five minutes.',
        '10m',
        { type: 'string', pattern: '^[1-9][0-9]{0,5}[smh]$' },
      ),
    }),
  };
}

function deployment(manifest: string, replicas: string): Record<string, Value> {
  const given = (block: keyof typeof workloadBlocks) => blockValue(manifest, workloadBlocks[block]);
  const priorityClass = /^ {6}priorityClassName: (.*)$/m.exec(manifest)?.[1] ?? '';
  return {
    replicas: value(replicas, given('replicas'), { type: 'integer', minimum: 0 }),
    resources: value('What its container requests, and its limits.', given('resources'), resources),
    priorityClassName: value('Priority class of its pods; empty: none.', priorityClass, name),
    nodeSelector: value('Labels of the nodes its pods run on.', given('nodeSelector'), texts),
    tolerations: value('Taints that its pods tolerate.', [], tolerations),
    affinity: value('Affinity of its pods.', {}, affinity),
    topologySpreadConstraints: value('How its pods are spread.', given('topologySpreadConstraints'), objects),
    podLabels: value('Further labels of its pods.', {}, texts),
    podAnnotations: value('Annotations of its pods.', {}, texts),
    extraVolumes: value('Further volumes of its pods, for files that variables name.', [], volumes),
    extraVolumeMounts: value('Where its container has them.', [], volumeMounts),
  };
}

function group(description: string, values: Readonly<Record<string, Value>>): Value {
  return { description, values };
}

function value(description: string, of: unknown, schema: Schema): Value {
  return { description, default: of, schema };
}

function variables(pattern: string): Schema {
  const patternProperties = { [pattern]: { type: ['string', 'boolean', 'integer'] } };
  return { type: 'object', patternProperties, additionalProperties: false };
}

function closed(properties: Readonly<Record<string, Schema>>): Schema {
  return { type: 'object', properties, additionalProperties: false };
}

function open(): Schema {
  return { type: 'object' };
}
