/** The alerts: when each fires and what it says. Each has a section of its name in docs/operations.md. Pure data. */
import { shareFromCache } from './cache-share.ts';

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
/** Scaled to zero: somebody wanted it so. `Ready` may name something else that is wrong with it. */
const unlessOff =
  'unless on (mirror) registry_mirror_condition{condition="CacheAvailable",reason="ScaledToZero"}';
/** Seconds until the first of a mirror's credentials expires. */
const credentialsLeft = '(min by (mirror) (registry_mirror_credentials_expiry_timestamp_seconds) - time())';

export const alertGroups: readonly AlertGroup[] = [
  {
    name: 'registry-mirrors',
    alerts: [
      {
        name: 'RegistryMirrorNotReady',
        severity: 'critical',
        for: '10m',
        expression: `max by (mirror) (registry_mirror_condition{condition="Ready",status!="True"}) == 1 ${unlessOff}`,
        summary: 'Mirror {{ $labels.mirror }} is not ready.',
        description:
          'Pulls of its alias, and of images that name its Service, fail. Others go to the upstream. `kubectl describe registrymirror {{ $labels.mirror }}` says why.',
      },
      {
        name: 'RegistryMirrorUpstreamFails',
        severity: 'warning',
        for: '10m',
        expression: upstreamFails('reason!~"Ok|Unknown|RateLimited|Unauthorized"'),
        summary: 'Mirror {{ $labels.mirror }} gets nothing from its upstream.',
        description: `What is cached is served; everything else cannot be had through the mirror. In the last ten minutes: ${lastReasons()}.`,
      },
      {
        name: 'RegistryMirrorUpstreamErrors',
        severity: 'warning',
        for: '10m',
        expression: `(${upstreamRate('status=~"5xx|error"')} / ${upstreamRate('')} > 0.1) and ${upstreamRate('status=~"5xx|error"')} * 600 > 20`,
        summary: 'The upstream of mirror {{ $labels.mirror }} fails now and then.',
        description:
          '{{ $value | humanizePercentage }} of what was asked of it in the last ten minutes had no answer or 5xx: pulls of what is not cached fail, or take several attempts.',
      },
      {
        name: 'RegistryMirrorRateLimited',
        severity: 'warning',
        for: '5m',
        expression: upstreamFails('reason="RateLimited"'),
        summary: 'The upstream of mirror {{ $labels.mirror }} answers 429.',
        description:
          'What is cached is served; everything else has to wait until the window of the limit is over.',
      },
      {
        name: 'RegistryMirrorCredentialsRefused',
        severity: 'warning',
        for: '10m',
        expression: [
          upstreamFails('reason="Unauthorized"'),
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
        // Credentials that never live for an hour are told of when they are over.
        expression: [
          `${credentialsLeft} < 0`,
          `or (${credentialsLeft} < 3600 and max_over_time((${credentialsLeft})[1d:5m]) > 3600)`,
        ].join(' '),
        summary: 'The credentials of mirror {{ $labels.mirror }} expire within the hour, or have expired.',
        description:
          'Told of credentials that say when they end: JSON Web Tokens and passwords of Amazon ECR. Whatever renews their Secret does not.',
      },
      {
        name: 'RegistryMirrorServesStaleTags',
        severity: 'warning',
        for: '15m',
        // Whoever asks for such a tag does so every few minutes only.
        expression: 'max by (mirror) (max_over_time(registry_mirror_stale_tags[5m])) > 0',
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
        // One tight moment is told for an hour.
        for: '2h',
        expression: `min by (mirror) (registry_mirror_cache_youngest_evicted_age_seconds) < ${day}`,
        summary: 'The cache of mirror {{ $labels.mirror }} is too small.',
        description: 'Again and again what was used less than a day ago has to go.',
      },
      {
        name: 'RegistryMirrorLowHitRatio',
        severity: 'info',
        for: '1h',
        // Under 1 GB in six hours it says nothing.
        expression: [
          `${shareFromCache('', '6h')} < 0.2`,
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
        expression: `max by (mirror) (registry_mirror_condition{condition="NodesWired",status="False"}) == 1 ${unlessOff}`,
        summary: 'Nodes do not pull through mirror {{ $labels.mirror }}.',
        description:
          'On some of the selected nodes not everything is in place. `registry-mirror-operator doctor --cluster` says where and why.',
      },
      {
        name: 'RegistryMirrorNodeFallsBack',
        severity: 'warning',
        for: '10m',
        expression: `min by (mirror, node) (registry_mirror_node_forwarder_offered) == 0 ${unlessOff}`,
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
        // One that leads and has not read everything waits.
        expression: 'absent(registry_mirror_operator_leading == 1 and registry_mirror_operator_synced == 1)',
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
        // One without its rules or a certificate answers Prometheus, but no review.
        expression: [
          'max(registry_mirror_operator_webhook_announced) == 1 unless on () max(registry_mirror_webhook_synced == 1',
          'and registry_mirror_webhook_certificate_expiry_timestamp_seconds > time())',
        ].join(' '),
        summary: 'No replica of the rewriting webhook answers.',
        description:
          'Images are not rewritten; with WEBHOOK_FAILURE_POLICY=Fail no pod is made where it is in force.',
      },
      {
        name: 'RegistryRewriteWebhookFails',
        severity: 'warning',
        for: '0m',
        expression:
          'sum by (path) (increase(registry_mirror_webhook_reviews_total{result="failed"}[1h])) > 0',
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

/** Mirrors whose upstream fails, and did so for this reason a moment ago: an outage may change its face with every answer. */
function upstreamFails(reason: string): string {
  return [
    `max by (mirror) (${upstreamState('reason!~"Ok|Unknown"')}) == 1`,
    `and max_over_time((max by (mirror) (${upstreamState(reason)}))[4m:]) == 1`,
  ].join(' ');
}

/** Requests to each mirror's upstream in the last ten minutes, in a second. */
function upstreamRate(matchers: string): string {
  return `sum by (mirror) (rate(registry_mirror_upstream_requests_total{${matchers}}[10m]))`;
}

/** For a description: what the upstream of its mirror failed with. */
function lastReasons(): string {
  const reasons = `max by (reason) (max_over_time((${upstreamState('mirror="%s",reason!~"Ok|Unknown"')})[10m:]))`;
  const query = `query (printf ${JSON.stringify(reasons)} $labels.mirror) | sortByLabel "reason"`;
  return `{{ range $index, $found := ${query} }}{{ if $index }}, {{ end }}{{ $found.Labels.reason }}{{ end }}`;
}

/** The replicas whose last answer has this reason, if they asked within half an hour: hits ask nobody, and the last reason stays. */
function upstreamState(reason: string): string {
  return [
    `registry_mirror_upstream_state{${reason}}`,
    '== 1 and on (mirror, instance) time() - registry_mirror_upstream_asked_timestamp_seconds < 1800',
  ].join(' ');
}
