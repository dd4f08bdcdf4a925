/** Another value than the default for every value of the chart, by its path. Taken together they are valid, too. */
export const otherValues: Readonly<Record<string, unknown>> = {
  'image.repository': 'registry.example/operator',
  'image.tag': '9',
  'image.digest': `sha256:${'a'.repeat(64)}`,
  'image.pullPolicy': 'Always',
  imagePullSecrets: [{ name: 'one' }, { name: 'two' }],
  labels: { team: 'platform' },
  addressingScheme: 'services',
  nodeDaemonSets: 'perMirror',
  startupTaints: false,
  imageswapNamespace: 'imageswap-system',
  'hostessImage.repository': 'registry.example/hostess',
  'hostessImage.tag': '2',
  'operator.replicas': 1,
  'operator.resources': { requests: { cpu: 1, memory: '256Mi' } },
  'operator.priorityClassName': 'high',
  'operator.nodeSelector': { 'kubernetes.io/os': 'linux', pool: 'infra' },
  'operator.tolerations': [{ key: 'infra', operator: 'Exists', effect: 'NoSchedule' }],
  'operator.affinity': { podAntiAffinity: {} },
  'operator.topologySpreadConstraints': [],
  'operator.podLabels': { team: 'platform' },
  'operator.podAnnotations': { note: 'operator' },
  'operator.extraVolumes': [{ name: 'authority', configMap: { name: 'webhook-authority' } }],
  'operator.extraVolumeMounts': [{ name: 'authority', mountPath: '/etc/authority', readOnly: true }],
  'operator.env': {
    LOG_LEVEL: 'debug',
    SECONDS_BETWEEN_STREAMS: 10_000_000,
    REQUIRE_CREDENTIALS_LABEL: true,
  },
  'rewriting.engine': 'auto',
  'rewriting.env': { GILLY_REGISTRY: 'my.internal.repo', WEBHOOK_TIMEOUT_SECONDS: 3 },
  'webhook.enabled': false,
  'webhook.replicas': 3,
  'webhook.resources': { limits: { memory: '1Gi' } },
  'webhook.priorityClassName': '',
  'webhook.nodeSelector': { pool: 'infra' },
  'webhook.tolerations': [{ operator: 'Exists' }],
  'webhook.affinity': { nodeAffinity: {} },
  'webhook.topologySpreadConstraints': [],
  'webhook.podLabels': { team: 'platform' },
  'webhook.podAnnotations': { note: 'webhook' },
  'webhook.extraVolumes': [{ name: 'maps', configMap: { name: 'maps' } }],
  'webhook.extraVolumeMounts': [{ name: 'maps', mountPath: '/maps' }],
  'webhook.env': { LOG_LEVEL: 'debug' },
  'criticalPodsQuota.enabled': false,
  'certManager.createIssuer': true,
  'cacheUsers.createRoles': true,
  'networkPolicy.enabled': true,
  'networkPolicy.clients': [{ ipBlock: { cidr: '10.0.0.0/8' } }],
  'networkPolicy.metrics': [],
  'monitoring.enabled': true,
  'monitoring.labels': { release: 'kube-prometheus-stack' },
  'monitoring.dashboardLabels': { dashboards: 'here' },
  'monitoring.runbookPage': 'https://runbooks.example/operations',
  'crds.install': false,
  'crds.keep': false,
  'uninstall.enabled': false,
  'uninstall.timeout': '30m',
};

/** `{a: {b: 1}}` of `{'a.b': 1}`. */
export function nested(values: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const result: Record<string, unknown> = {};
  for (const [path, value] of Object.entries(values)) {
    const names = path.split('.');
    const last = names.pop() ?? '';
    let place = result;
    for (const name of names) {
      place[name] ??= {};
      place = place[name] as Record<string, unknown>;
    }
    place[last] = value;
  }
  return result;
}
