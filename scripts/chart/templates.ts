/** The templates of the chart that are manifests of deploy/: which, when, and what values change in them. Pure. */
import { webhookNames } from '../../src/api/names.ts';
import { runbookPage } from '../monitoring/rules.ts';
import type { TemplateFile } from './template-file.ts';
import { workload } from './workload.ts';
import { addBelow, addWithin, editDocuments, replaceBlock, replaceOnce } from './yaml-text.ts';

const rewrites = 'ne .Values.rewriting.engine "none"';
const hasWebhook = `and (${rewrites}) .Values.webhook.enabled`;
const isServices = 'eq .Values.addressingScheme "services"';
const isMonitored = '.Values.monitoring.enabled';
const imageswapNamespace = '{{ .Values.imageswapNamespace | default .Release.Namespace }}';

export const templateFiles: readonly TemplateFile[] = [
  { source: 'base/service-accounts.yaml', name: 'service-accounts' },
  { source: 'base/rbac.yaml', name: 'operator-rbac', edit: withoutNodes },
  { source: 'base/deployment.yaml', name: 'operator-deployment', edit: operatorDeployment },
  { source: 'base/disruption-budget.yaml', name: 'operator-disruption-budget' },
  {
    source: 'components/namespace/guard.yaml',
    name: 'namespace-guard',
    when: '.Capabilities.APIVersions.Has "admissionregistration.k8s.io/v1/ValidatingAdmissionPolicy"',
    edit: (text) =>
      replaceOnce(text, 'resourceNames: [registry-mirrors]', 'resourceNames: ["{{ .Release.Namespace }}"]'),
  },
  {
    source: 'components/namespace/quota.yaml',
    name: 'critical-pods-quota',
    when: '.Values.criticalPodsQuota.enabled',
  },
  {
    source: 'components/services/rbac.yaml',
    name: 'services-rbac',
    when: isServices,
    edit: (text) => inImageswapNamespace(text, 'registry-mirror-operator-imageswap-map'),
  },
  {
    source: 'components/cert-manager/issuer.yaml',
    name: 'cert-manager-issuer',
    when: '.Values.certManager.createIssuer',
  },
  {
    source: 'components/foreign-hostess/rbac.yaml',
    name: 'foreign-hostess-rbac',
    when: '.Values.hostessImage.repository',
  },
  {
    source: 'components/cache-users/rbac.yaml',
    name: 'cache-users-rbac',
    when: '.Values.cacheUsers.createRoles',
  },
  { source: 'components/rewriting/rbac.yaml', name: 'rewriting-rbac', when: rewrites },
  {
    source: 'components/rewriting/imageswap-map-rbac.yaml',
    name: 'rewriting-imageswap-map-rbac',
    when: rewrites,
    edit: (text) => inImageswapNamespace(text, 'registry-mirror-rewriting-imageswap-map'),
  },
  {
    source: 'components/webhook/rbac.yaml',
    name: 'webhook-rbac',
    when: hasWebhook,
    edit: (text) => inImageswapNamespace(text, 'registry-rewrite-webhook'),
  },
  {
    source: 'components/webhook/webhook.yaml',
    name: 'webhook',
    when: hasWebhook,
    edit: (text) =>
      editDocuments(text, (document) => document.includes('kind: Deployment'), webhookDeployment),
  },
  {
    source: 'components/networkpolicy/policies.yaml',
    name: 'network-policies',
    when: '.Values.networkPolicy.enabled',
    edit: networkPolicies,
  },
  {
    source: 'components/monitoring/pod-monitors.yaml',
    name: 'monitoring-pod-monitors',
    when: isMonitored,
    labels: '.Values.monitoring.labels',
    edit: atStatusPort,
  },
  {
    source: 'components/monitoring/rules.yaml',
    name: 'monitoring-rules',
    when: isMonitored,
    labels: '.Values.monitoring.labels',
    edit: (text) =>
      text.replaceAll(`runbook_url: ${runbookPage}#`, 'runbook_url: {{ .Values.monitoring.runbookPage }}#'),
  },
  {
    source: 'components/monitoring/dashboard.yaml',
    name: 'monitoring-dashboard',
    when: isMonitored,
    labels: '.Values.monitoring.dashboardLabels',
    edit: (text) => replaceBlock(text, '  labels:', () => []),
  },
];

function atStatusPort(text: string): string {
  return text.replaceAll(':29000', ':{{ include "registry-mirror-operator.statusPort" . }}');
}

/** The template of a CustomResourceDefinition, whose file is named by its plural and group. Those of a component come with it. */
export function crdTemplate(source: string): TemplateFile {
  const [folder = '', component = ''] = source.split('/');
  const plural = source.split('/').at(-1)?.split('.')[0] ?? '';
  const install = '.Values.crds.install';
  const when =
    folder === 'base' ? install : `and (${conditions[component] ?? unknown(component)}) ${install}`;
  return {
    source,
    name: `crd-${plural}`,
    when,
    edit: keptCrd,
  };
}

const conditions: Readonly<Record<string, string>> = { rewriting: rewrites };

function unknown(component: string): never {
  throw new Error(`expected a condition for the CustomResourceDefinitions of component ${component}`);
}

/** They outlive the release, and with them what people have made of their kinds. */
function keptCrd(crd: string): string {
  return addWithin(crd, 'metadata:', [
    '  {{- if .Values.crds.keep }}',
    '  annotations:',
    '    helm.sh/resource-policy: keep',
    '  {{- end }}',
  ]);
}

function withoutNodes(rbac: string): string {
  const rule = '    resources: [nodes]\n    verbs: [list, patch]\n';
  const comment = '  # Only for mirrors that name a startup taint:';
  const begun = replaceOnce(rbac, comment, `  {{- if .Values.startupTaints }}\n${comment}`);
  return replaceOnce(begun, rule, `${rule}  {{- end }}\n`);
}

/** The Role and RoleBinding are where imageswap's map is; who is bound stays the release's. */
function inImageswapNamespace(rbac: string, name: string): string {
  const isMeant = (document: string) =>
    /^kind: Role(Binding)?$/m.test(document) &&
    document.includes(`\n  name: ${name}\n  namespace: default\n`);
  return editDocuments(rbac, isMeant, (document) =>
    replaceOnce(
      document,
      `  name: ${name}\n  namespace: default\n`,
      `  name: ${name}\n  namespace: ${imageswapNamespace}\n`,
    ),
  );
}

const rewritingVariables = [
  '          envFrom:',
  '            - configMapRef:',
  '                name: registry-rewrite',
  '                optional: true',
];

function operatorDeployment(manifest: string): string {
  let text = scheme(workload(manifest, 'operator'));
  text = replaceBlock(text, '            - name: NODE_DAEMONSETS', ([name = '']) => [
    name,
    '              value: {{ .Values.nodeDaemonSets }}',
  ]);
  text = addBelow(text, '            - name: POD_NAME', operatorVariables);
  text = replaceBlock(text, '          livenessProbe:', ([head = '', ...probe]) => [
    head,
    `            {{- if ${isServices} }}`,
    '            exec:',
    '              command: [registry-mirror-operator, --map-check]',
    '            # It fails while the API server is away too, which a restart would not bring: that has five minutes.',
    '            failureThreshold: 15',
    '            {{- else }}',
    ...probe.slice(0, 3),
    '            {{- end }}',
    ...probe.slice(3),
  ]);
  return addBelow(text, '          env:', [
    `          {{- if ${rewrites} }}`,
    ...rewritingVariables,
    '          {{- end }}',
  ]);
}

const operatorVariables = [
  `            {{- if ${rewrites} }}`,
  '            - name: REWRITE_ENGINE',
  '              value: {{ .Values.rewriting.engine }}',
  '            {{- end }}',
  ...variable('IMAGESWAP_NAMESPACE', '.Values.imageswapNamespace'),
  ...variable('IMAGE_PULL_SECRETS', 'include "registry-mirror-operator.imagePullSecretNames" .'),
  ...variable('HOSTESS_DOCKER_IMAGE', '.Values.hostessImage.repository'),
  ...variable('HOSTESS_DOCKER_TAG', '.Values.hostessImage.tag'),
  ...furtherVariables('operator'),
];

function variable(name: string, value: string): string[] {
  return [
    `            {{- with ${value} }}`,
    `            - name: ${name}`,
    '              value: {{ . | quote }}',
    '            {{- end }}',
  ];
}

function furtherVariables(key: string): string[] {
  return [
    `            {{- range $name, $value := .Values.${key}.env }}`,
    '            - name: {{ $name }}',
    '              value: {{ include "registry-mirror-operator.text" $value | quote }}',
    '            {{- end }}',
  ];
}

function webhookDeployment(manifest: string): string {
  const text = addBelow(scheme(workload(manifest, 'webhook')), '            - name: NAMESPACE', [
    ...variable('IMAGESWAP_NAMESPACE', '.Values.imageswapNamespace'),
    ...furtherVariables('webhook'),
  ]);
  const comesFrom = (source: string) => `(eq (${operatorVariable('WEBHOOK_CERTIFICATE')}) "${source}")`;
  const given = `(${operatorVariable('WEBHOOK_CERTIFICATE_SECRET')})`;
  const secretName = `ternary ${given} "${webhookNames.secret}" ${comesFrom('secret')}`;
  const named = replaceOnce(text, `secretName: ${webhookNames.secret}`, `secretName: {{ ${secretName} }}`);
  const optional = replaceOnce(named, 'optional: false', `optional: {{ ${comesFrom('files')} }}`);
  return replaceBlock(optional, '      terminationGracePeriodSeconds:', () => [
    '      terminationGracePeriodSeconds: {{ include "registry-mirror-operator.webhookGraceSeconds" . }}',
  ]);
}

/** What the operator is told: its own variables come before those it shares. */
function operatorVariable(name: string): string {
  return `get (merge (dict) .Values.operator.env .Values.rewriting.env) "${name}" | toString`;
}

function scheme(text: string): string {
  return replaceBlock(text, '            - name: ADDRESSING_SCHEME', ([name = '']) => [
    name,
    '              value: {{ .Values.addressingScheme }}',
  ]);
}

function networkPolicies(text: string): string {
  const clients = '        - port: https\n        - port: fallback\n';
  const open = replaceOnce(
    text,
    clients,
    `${clients}      {{- with .Values.networkPolicy.clients }}\n      from:\n        {{- toYaml . | nindent 8 }}\n      {{- end }}\n`,
  );
  return replaceBlock(open, '        - namespaceSelector:', () => [
    '        {{- with .Values.networkPolicy.metrics }}',
    '        {{- toYaml . | nindent 8 }}',
    '        {{- end }}',
  ]);
}
