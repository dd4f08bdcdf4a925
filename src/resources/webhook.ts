/** Objects of the rewriting webhook: how the API server is told of it, and cert-manager's Certificate for it. Pure. */
import { ownPodsLabel, webhookNames } from '../api/names.ts';
import {
  namespaceNameLabel,
  rewrittenNamespaces,
  rewrittenObjects,
  type SelectorExpression,
} from '../api/rewrite-selectors.ts';
import type { RewriteSettings } from '../api/rewrite-settings.ts';
import type { WebhookSettings } from '../api/webhook-settings.ts';
import { type KubernetesObject, type OwnerReference, objectFrom } from './object.ts';
import {
  imagesChange,
  isCritical,
  isNotCritical,
  isNotStatic,
  type MatchCondition,
} from './webhook-conditions.ts';

/** What `mutating-webhook-configuration.yaml` prints. */
export interface WebhookConfigurationView {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly ownerReferences: readonly OwnerReference[];
  readonly webhooks: readonly WebhookView[];
}

interface WebhookView
  extends Pick<WebhookSettings, 'failurePolicy' | 'timeoutSeconds' | 'reinvocationPolicy'> {
  readonly name: string;
  /** PEM, base64. */
  readonly caBundle: string;
  readonly service: {
    readonly name: string;
    readonly namespace: string;
    readonly path: string;
    readonly port: number;
  };
  readonly namespaceExpressions: readonly Exclusion[];
  readonly objectExpressions: readonly SelectorExpression[];
  /** In CEL; nothing but what all of them hold for is sent. */
  readonly matchConditions: readonly MatchCondition[];
  readonly rules: readonly object[];
}

export interface WebhookConfigurationInput {
  readonly settings: WebhookSettings;
  readonly rewrite: RewriteSettings;
  /** Authorities that sign the webhook's certificate; PEM. */
  readonly authorities: string;
  /** Namespaces whose pods the webhook rewrites. */
  readonly namespaces: 'all' | readonly string[];
  readonly owner: readonly OwnerReference[];
  /** What others keep from it, by `exclusionsOfOthers`. */
  readonly exclusions?: ReadonlyMap<string, readonly Exclusion[]>;
}

/** A requirement of others in a label selector. */
export interface Exclusion {
  readonly key: string;
  readonly operator: string;
  readonly values?: readonly string[];
}

const labels = { [ownPodsLabel.key]: ownPodsLabel.value };
const podRules = [
  {
    operations: ['CREATE', 'UPDATE'],
    apiGroups: [''],
    apiVersions: ['v1'],
    resources: ['pods'],
    scope: 'Namespaced',
  },
  {
    operations: ['UPDATE'],
    apiGroups: [''],
    apiVersions: ['v1'],
    resources: ['pods/ephemeralcontainers'],
    scope: 'Namespaced',
  },
];
const workloadRules = [
  ['apps', ['deployments', 'daemonsets', 'statefulsets', 'replicasets']],
  ['batch', ['jobs', 'cronjobs']],
  ['', ['replicationcontrollers']],
].map(([group, resources]) => ({
  operations: ['CREATE', 'UPDATE'],
  apiGroups: [group],
  apiVersions: ['v1'],
  resources,
  scope: 'Namespaced',
}));

/** The MutatingWebhookConfiguration. */
export function webhookConfiguration(input: WebhookConfigurationInput): KubernetesObject {
  return objectFrom('mutating-webhook-configuration.yaml', webhookConfigurationView(input));
}

/** The view of the configuration. */
export function webhookConfigurationView(input: WebhookConfigurationInput): WebhookConfigurationView {
  const { settings, rewrite, owner, exclusions } = input;
  // What runs the webhook could not be mended while no webhook answers. Its pods are rewritten like others.
  const elsewhere = { key: namespaceNameLabel, operator: 'NotIn', values: [rewrite.namespace] } as const;
  const webhook = (short: string, { rules, expressions = [], ...more }: Entry): WebhookView => {
    const name = `${short}.${webhookNames.domain}`;
    return {
      name,
      failurePolicy: settings.failurePolicy,
      timeoutSeconds: settings.timeoutSeconds,
      reinvocationPolicy: settings.reinvocationPolicy,
      caBundle: Buffer.from(input.authorities).toString('base64'),
      service: { name: webhookNames.service, namespace: rewrite.namespace, path: '/rewrite', port: 443 },
      namespaceExpressions: [
        ...namespaceExpressions(input.namespaces),
        ...expressions,
        ...(exclusions?.get(name) ?? []),
      ],
      objectExpressions: rewrittenObjects(rewrite),
      matchConditions: [],
      rules,
      ...more,
    };
  };
  const pods = { rules: podRules, matchConditions: [imagesChange, isNotStatic] };
  const workloads = { rules: workloadRules };
  const mayFail = settings.failurePolicy === 'Fail';
  const ofPods = mayFail
    ? [
        webhook('pods', { ...pods, matchConditions: [...pods.matchConditions, isNotCritical] }),
        webhook('node-critical-pods', {
          ...pods,
          matchConditions: [...pods.matchConditions, isCritical],
          failurePolicy: 'Ignore',
        }),
      ]
    : [webhook('pods', pods)];
  const ofWorkloads = webhook('workloads', mayFail ? { ...workloads, expressions: [elsewhere] } : workloads);
  return {
    name: webhookNames.configuration,
    labels,
    ownerReferences: owner,
    webhooks: [...ofPods, ...(settings.workloads ? [ofWorkloads] : [])],
  };
}

/** What tells one webhook from the others. */
interface Entry
  extends Pick<WebhookView, 'rules'>,
    Partial<Pick<WebhookView, 'matchConditions' | 'failurePolicy'>> {
  readonly expressions?: readonly SelectorExpression[];
}

/** The webhook looks again itself; what is said here costs no call, and stops nothing when there is no webhook. */
function namespaceExpressions(namespaces: 'all' | readonly string[]): SelectorExpression[] {
  if (namespaces === 'all') return rewrittenNamespaces();
  return [...rewrittenNamespaces(), { key: namespaceNameLabel, operator: 'In', values: namespaces }];
}

/** The namespaces that such a configuration sends to the webhook; all, where somebody else has written something else there. */
export function announcedNamespaces(
  configuration: Readonly<Record<string, unknown>>,
): 'all' | readonly string[] {
  const webhooks = configuration['webhooks'] as readonly AnnouncedWebhook[] | undefined;
  const expressions = webhooks?.[0]?.namespaceSelector?.matchExpressions ?? [];
  return (
    expressions.find(({ key, operator }) => key === namespaceNameLabel && operator === 'In')?.values ?? 'all'
  );
}

interface AnnouncedWebhook {
  readonly name?: string;
  readonly namespaceSelector?: { readonly matchExpressions?: readonly Exclusion[] };
}

const ownKeys = rewrittenNamespaces().map(({ key }) => key);

/**
 * What others have added to our selectors of namespaces so that something is left out, by the webhook's name: managed clusters (AKS) do so with every
 * webhook, and would do it again at once if it went.
 */
export function exclusionsOfOthers(
  configuration: Readonly<Record<string, unknown>>,
): ReadonlyMap<string, readonly Exclusion[]> {
  const webhooks = (configuration['webhooks'] ?? []) as readonly AnnouncedWebhook[];
  return new Map(
    webhooks.map(({ name = '', namespaceSelector }) => [
      name,
      (namespaceSelector?.matchExpressions ?? []).filter(
        ({ key, operator }) => !ownKeys.includes(key) && ['NotIn', 'DoesNotExist'].includes(operator),
      ),
    ]),
  );
}

/** What `webhook-certificate.yaml` prints. */
export interface WebhookCertificateView {
  readonly name: string;
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly secretName: string;
  readonly dnsNames: readonly string[];
  readonly issuer: { readonly kind: 'Issuer' | 'ClusterIssuer'; readonly name: string };
}

/** The view of cert-manager's Certificate. */
export function webhookCertificateView(
  namespace: string,
  issuer: WebhookCertificateView['issuer'],
): WebhookCertificateView {
  const { certificate, secret } = webhookNames;
  return {
    name: certificate,
    namespace,
    labels,
    secretName: secret,
    dnsNames: webhookDnsNames(namespace),
    issuer,
  };
}

/** cert-manager's Certificate of the webhook. */
export function webhookCertificate(
  namespace: string,
  issuer: WebhookCertificateView['issuer'],
): KubernetesObject {
  return objectFrom('webhook-certificate.yaml', webhookCertificateView(namespace, issuer));
}

/** The Secret with the webhook's pair, made by our own authority. */
export function webhookSecret(
  namespace: string,
  pair: { readonly certificate: string; readonly key: string; readonly ca: string },
): KubernetesObject {
  const data = { 'tls.crt': pair.certificate, 'tls.key': pair.key, 'ca.crt': pair.ca };
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: webhookNames.secret, namespace, labels },
    type: 'kubernetes.io/tls',
    data: Object.fromEntries(
      Object.entries(data).map(([key, text]) => [key, Buffer.from(text).toString('base64')]),
    ),
  };
}

/** Names under which the API server dials the webhook's Service; the first one is what it asks for. */
export function webhookDnsNames(namespace: string): string[] {
  const { service } = webhookNames;
  return [
    `${service}.${namespace}.svc`,
    `${service}.${namespace}`,
    service,
    `${service}.${namespace}.svc.cluster.local`,
  ];
}
