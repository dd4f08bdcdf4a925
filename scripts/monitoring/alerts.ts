/** The alerts: when each fires and what it says. Each has a section of its name in docs/operations.md. Pure data. */

export interface Alert {
  readonly name: string;
  readonly severity: 'info' | 'warning' | 'critical';
  /** How long it must hold, like `10m`. */
  readonly for: string;
  readonly expression: string;
  readonly summary: string;
  readonly description: string;
}

export interface AlertGroup {
  readonly name: string;
  readonly alerts: readonly Alert[];
}

const day = 86_400;

export const alertGroups: readonly AlertGroup[] = [
  {
    name: 'registry-mirrors',
    alerts: [
      {
        name: 'RegistryMirrorNotReady',
        severity: 'critical',
        for: '10m',
        expression: 'max by (mirror) (registry_mirror_condition{condition="Ready",status!="True"}) == 1',
        summary: 'Mirror {{ $labels.mirror }} is not ready.',
        description:
          'Pulls of its alias, and of images that name its Service, fail. Others go to the upstream. `kubectl describe registrymirror {{ $labels.mirror }}` says why.',
      },
      {
        name: 'RegistryMirrorUpstreamFails',
        severity: 'warning',
        for: '10m',
        expression: `max by (mirror, reason) (${upstreamState('reason!~"Ok|Unknown|RateLimited|Unauthorized"')}) == 1`,
        summary: 'Mirror {{ $labels.mirror }} gets nothing from its upstream ({{ $labels.reason }}).',
        description: 'What is cached is served; everything else cannot be had through the mirror.',
      },
      {
        name: 'RegistryMirrorRateLimited',
        severity: 'warning',
        for: '5m',
        expression: `max by (mirror) (${upstreamState('reason="RateLimited"')}) == 1`,
        summary: 'The upstream of mirror {{ $labels.mirror }} answers 429.',
        description:
          'What is cached is served; everything else has to wait until the window of the limit is over.',
      },
      {
        name: 'RegistryMirrorCredentialsRefused',
        severity: 'warning',
        for: '10m',
        expression: [
          `max by (mirror) (${upstreamState('reason="Unauthorized"')}) == 1`,
          'or max by (mirror) (registry_mirror_condition{condition="CredentialsValid",status="False"}) == 1',
        ].join(' '),
        summary: 'The credentials of mirror {{ $labels.mirror }} cannot be used.',
        description:
          'The upstream refused them, or their Secret holds none. Private images that are not cached cannot be had through the mirror.',
      },
      {
        name: 'RegistryMirrorCredentialsExpire',
        severity: 'warning',
        for: '10m',
        expression: 'min by (mirror) (registry_mirror_credentials_expiry_timestamp_seconds) - time() < 3600',
        summary: 'The credentials of mirror {{ $labels.mirror }} expire within the hour.',
        description:
          'Told of credentials that say when they end: JSON Web Tokens and passwords of Amazon ECR. Whatever renews their Secret does not.',
      },
      {
        name: 'RegistryMirrorServesStaleTags',
        severity: 'warning',
        for: '15m',
        expression: 'max by (mirror) (registry_mirror_stale_tags) > 0',
        summary: 'Mirror {{ $labels.mirror }} serves tags that it cannot check.',
        description:
          '{{ $value }} tags were served in the last minutes although the upstream could not be asked: what is pushed there is not seen.',
      },
      {
        name: 'RegistryMirrorCacheNotWritable',
        severity: 'warning',
        for: '5m',
        expression: 'min by (mirror, namespace, pod) (registry_mirror_cache_writable) == 0',
        summary: 'A cache of mirror {{ $labels.mirror }} keeps nothing new.',
        description:
          'Its volume is full, read-only or failing ({{ $labels.pod }}). Hits are served; every miss is a download.',
      },
      {
        name: 'RegistryMirrorCorruptObject',
        severity: 'warning',
        for: '0m',
        expression:
          'sum by (mirror, namespace, pod) (increase(registry_mirror_scrub_objects_total{result="corrupt"}[1h])) > 0',
        summary: 'A cache of mirror {{ $labels.mirror }} held wrong bytes.',
        description:
          'What did not have its digest was removed ({{ $labels.pod }}). A disk, memory or the upstream lies.',
      },
      {
        name: 'RegistryMirrorCertificateExpires',
        severity: 'warning',
        for: '1h',
        expression: `min by (mirror) (registry_mirror_certificate_expiry_timestamp_seconds) - time() < ${7 * day}`,
        summary: 'A certificate of mirror {{ $labels.mirror }} expires within a week.',
        description:
          'One of the operator’s own is renewed long before; one that was given has to be replaced in its Secret.',
      },
      {
        name: 'RegistryMirrorCacheTooSmall',
        severity: 'info',
        for: '1h',
        expression: `min by (mirror) (registry_mirror_cache_youngest_evicted_age_seconds) < ${day}`,
        summary: 'The cache of mirror {{ $labels.mirror }} is too small.',
        description: 'What was used less than a day ago had to go.',
      },
      {
        name: 'RegistryMirrorLowHitRatio',
        severity: 'info',
        for: '1h',
        // Under 1 GB in six hours it says nothing.
        expression: [
          '1 - sum by (mirror) (rate(registry_mirror_upstream_bytes_total[6h]))',
          '/ sum by (mirror) (rate(registry_mirror_response_bytes_total{address=~"plain|fallback"}[6h])) < 0.2',
          'and sum by (mirror) (increase(registry_mirror_response_bytes_total{address=~"plain|fallback"}[6h])) > 1e9',
        ].join(' '),
        summary: 'Mirror {{ $labels.mirror }} saves hardly anything.',
        description: 'In six hours {{ $value | humanizePercentage }} of the bytes came from the cache.',
      },
    ],
  },
  {
    name: 'registry-mirror-nodes',
    alerts: [
      {
        name: 'RegistryMirrorNodesNotWired',
        severity: 'warning',
        for: '30m',
        expression: 'max by (mirror) (registry_mirror_condition{condition="NodesWired",status="False"}) == 1',
        summary: 'Nodes do not pull through mirror {{ $labels.mirror }}.',
        description:
          'On some of the selected nodes not everything is in place. `registry-mirror-operator doctor --cluster` says where and why.',
      },
      {
        name: 'RegistryMirrorNodeFallsBack',
        severity: 'warning',
        for: '10m',
        expression: 'min by (mirror, node) (registry_mirror_node_forwarder_offered) == 0',
        summary: 'Node {{ $labels.node }} does not reach mirror {{ $labels.mirror }}.',
        description: 'Its pulls go to the upstream; those of the alias fail.',
      },
    ],
  },
  {
    name: 'registry-mirror-operator',
    alerts: [
      {
        name: 'RegistryMirrorOperatorDown',
        severity: 'warning',
        for: '10m',
        expression: 'absent(registry_mirror_operator_leading == 1)',
        summary: 'No replica of the operator acts.',
        description:
          'Mirrors and wired nodes go on working. Nothing is repaired, renewed or changed, and conditions of mirrors are those of then.',
      },
      {
        name: 'RegistryMirrorOperatorFails',
        severity: 'warning',
        for: '15m',
        expression: 'max(registry_mirror_operator_failing) > 0',
        summary: 'The operator cannot bring something about.',
        description:
          '{{ $value }} things failed again and again; its log has `Could not reconcile` with the cause.',
      },
      {
        name: 'RegistryMirrorNotScraped',
        severity: 'warning',
        for: '15m',
        expression: 'up{job=~"registry-mirror-.+"} == 0',
        summary: 'Prometheus cannot read {{ $labels.job }} at {{ $labels.instance }}.',
        description: 'What it would tell is not known, and alerts about it cannot fire.',
      },
    ],
  },
  {
    name: 'registry-rewrite-webhook',
    alerts: [
      {
        name: 'RegistryRewriteWebhookDown',
        severity: 'critical',
        for: '5m',
        expression:
          'max(registry_mirror_operator_webhook_announced) == 1 unless on () (max(up{job="registry-mirror-webhook"}) == 1)',
        summary: 'No replica of the rewriting webhook answers.',
        description:
          'Images are not rewritten; with WEBHOOK_FAILURE_POLICY=Fail no pod is made where it is in force.',
      },
      {
        name: 'RegistryRewriteWebhookFails',
        severity: 'warning',
        for: '10m',
        expression: 'sum by (path) (rate(registry_mirror_webhook_reviews_total{result="failed"}[10m])) > 0',
        summary: 'The rewriting webhook fails ({{ $labels.path }}).',
        description: 'Reviews ended with a fault of the webhook’s own; its log has the cause.',
      },
      {
        name: 'RegistryRewriteWebhookCertificateExpires',
        severity: 'critical',
        for: '1h',
        expression: `min(registry_mirror_webhook_certificate_expiry_timestamp_seconds) - time() < ${3 * day}`,
        summary: 'The certificate of the rewriting webhook expires within three days, or there is none.',
        description: 'After that the API server does not call it.',
      },
      {
        name: 'RegistryRewriteMapFaults',
        severity: 'warning',
        for: '15m',
        expression: 'max(registry_mirror_webhook_map_faults) > 0',
        summary: 'The map of imageswap has faults.',
        description: '{{ $value }} lines are not in force.',
      },
    ],
  },
];

/** The replicas whose last answer has this reason, if they asked within half an hour: hits ask nobody, and the last reason stays. */
function upstreamState(reason: string): string {
  return [
    `registry_mirror_upstream_state{${reason}}`,
    '== 1 and on (mirror, instance) time() - registry_mirror_upstream_asked_timestamp_seconds < 1800',
  ].join(' ');
}
