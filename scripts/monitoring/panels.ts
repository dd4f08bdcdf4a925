/** What the dashboard shows: rows of panels, each with its queries. `$mirror` is what is chosen on the dashboard. Pure data. */
import { shareFromCache } from './cache-share.ts';

export type Unit = 'Bps' | 'bytes' | 'percentunit' | 'reqps' | 's' | 'short' | 'none';

export interface Query {
  readonly expression: string;
  /** Text of its legend; `{{label}}` is the label's value. */
  readonly legend: string;
}

export interface Panel {
  readonly title: string;
  readonly description: string;
  readonly unit: Unit;
  /** `stat`: the last values; `lines`: over time; `table`: the last values by their labels. */
  readonly shape: 'stat' | 'lines' | 'table';
  readonly queries: readonly Query[];
}

export interface Row {
  readonly title: string;
  readonly panels: readonly Panel[];
}

const clients = 'mirror=~"$mirror",address=~"plain|fallback"';
const mirror = 'mirror=~"$mirror"';

export const rows: readonly Row[] = [
  {
    title: 'Mirrors',
    panels: [
      {
        title: 'Conditions that are not as they should be',
        description: 'What to do about each reason stands in docs/operations.md.',
        unit: 'none',
        shape: 'table',
        queries: [
          query(
            `max by (mirror, condition, status, reason) (registry_mirror_condition{${mirror},condition!~"Reconciling|Stalled",status!="True"} or registry_mirror_condition{${mirror},condition=~"Reconciling|Stalled",status="True"})`,
            '{{mirror}} {{condition}}',
          ),
        ],
      },
      {
        title: 'Share of bytes that came from the cache',
        description: 'Of what clients got. What was warmed is not counted as fetched for them.',
        unit: 'percentunit',
        shape: 'lines',
        queries: [query(shareFromCache(mirror, '$__rate_interval'), '{{mirror}}')],
      },
      {
        title: 'Bytes to clients and from the upstream',
        description: 'What lies between both did not have to be downloaded.',
        unit: 'Bps',
        shape: 'lines',
        queries: [
          query(rate('registry_mirror_response_bytes_total', clients), '{{mirror}} to clients'),
          query(rate('registry_mirror_upstream_bytes_total', mirror), '{{mirror}} from the upstream'),
        ],
      },
      {
        title: 'Requests of clients',
        description: 'By how the cache answered.',
        unit: 'reqps',
        shape: 'lines',
        queries: [query(rate('registry_mirror_requests_total', clients, 'cache'), '{{cache}}')],
      },
      {
        title: 'Answers that are errors',
        description: 'By HTTP status; 404 of a fallback address sends a runtime to the upstream.',
        unit: 'reqps',
        shape: 'lines',
        queries: [
          query(
            rate('registry_mirror_responses_total', `${mirror},status=~"[45].."`, 'status'),
            '{{status}}',
          ),
        ],
      },
      {
        title: 'Seconds of an answer (95 of 100)',
        description: 'The whole answer to a client, layers included.',
        unit: 's',
        shape: 'lines',
        queries: [
          query(
            quantile('registry_mirror_request_duration_seconds', mirror, 'mirror, cache'),
            '{{mirror}} {{cache}}',
          ),
        ],
      },
    ],
  },
  {
    title: 'Upstreams',
    panels: [
      {
        title: 'Last answer of the upstream, where it was not well',
        description: 'Reasons of condition UpstreamReachable, by replica.',
        unit: 'none',
        shape: 'table',
        queries: [
          query(
            `max by (mirror, reason, pod) (registry_mirror_upstream_state{${mirror},reason!~"Ok|Unknown"}) == 1`,
            '{{mirror}} {{reason}}',
          ),
        ],
      },
      {
        title: 'Requests to the upstream',
        description: 'By class of status; error: no answer.',
        unit: 'reqps',
        shape: 'lines',
        queries: [
          query(
            rate('registry_mirror_upstream_requests_total', mirror, 'mirror, status'),
            '{{mirror}} {{status}}',
          ),
        ],
      },
      {
        title: 'Seconds to the first byte of a miss (95 of 100)',
        description: 'What a client waited for the headers of what the cache had to ask for.',
        unit: 's',
        shape: 'lines',
        queries: [query(quantile('registry_mirror_first_byte_seconds', mirror, 'mirror'), '{{mirror}}')],
      },
      {
        title: 'Pulls left of the rate limit',
        description: 'Where the upstream tells.',
        unit: 'short',
        shape: 'lines',
        queries: [
          query(`min by (mirror) (registry_mirror_upstream_rate_limit_remaining{${mirror}})`, '{{mirror}}'),
        ],
      },
      {
        title: 'Requests sent again, tokens, redirects',
        description: 'Many retries: an upstream or a network that breaks off.',
        unit: 'reqps',
        shape: 'lines',
        queries: [
          query(rate('registry_mirror_upstream_retries_total', mirror), '{{mirror}} retries'),
          query(rate('registry_mirror_upstream_tokens_total', mirror), '{{mirror}} tokens'),
          query(rate('registry_mirror_upstream_redirects_total', mirror), '{{mirror}} redirects'),
        ],
      },
      {
        title: 'Stale tags',
        description: 'Tags that were served although the upstream could not be asked.',
        unit: 'short',
        shape: 'lines',
        queries: [query(`max by (mirror) (registry_mirror_stale_tags{${mirror}})`, '{{mirror}}')],
      },
    ],
  },
  {
    title: 'Caches',
    panels: [
      {
        title: 'Size and limit',
        description: 'At the limit nginx removes what was used longest ago.',
        unit: 'bytes',
        shape: 'lines',
        queries: [
          query(`max by (mirror, pod) (registry_mirror_cache_bytes{${mirror}})`, '{{mirror}} {{pod}}'),
          query(`max by (mirror) (registry_mirror_cache_limit_bytes{${mirror}})`, '{{mirror}} limit'),
        ],
      },
      {
        title: 'Free on the volume',
        description: 'A floor is kept free.',
        unit: 'bytes',
        shape: 'lines',
        queries: [
          query(`min by (mirror, pod) (registry_mirror_cache_free_bytes{${mirror}})`, '{{mirror}} {{pod}}'),
        ],
      },
      {
        title: 'Replicas that can keep what they fetch',
        description: '0: volume full, read-only or failing.',
        unit: 'short',
        shape: 'stat',
        queries: [query(`sum by (mirror) (registry_mirror_cache_writable{${mirror}})`, '{{mirror}}')],
      },
      {
        title: 'Age of the youngest object that had to go',
        description:
          'In the last hour, by its last use. Small: the cache is too small. Nothing: nothing had to go.',
        unit: 's',
        shape: 'lines',
        queries: [
          query(
            `min by (mirror) (registry_mirror_cache_youngest_evicted_age_seconds{${mirror}})`,
            '{{mirror}}',
          ),
        ],
      },
      {
        title: 'Requests to other replicas, and those not answered',
        description: 'Rising failures: see pods and network policies for port 5002.',
        unit: 'reqps',
        shape: 'lines',
        queries: [
          query(rate('registry_mirror_peer_requests_total', mirror), '{{mirror}} asked'),
          query(rate('registry_mirror_peer_failures_total', mirror), '{{mirror}} not answered'),
        ],
      },
      {
        title: 'Days until a certificate expires',
        description: 'The first of those that are served.',
        unit: 'short',
        shape: 'stat',
        queries: [
          query(
            `(min by (mirror) (registry_mirror_certificate_expiry_timestamp_seconds{${mirror}}) - time()) / 86400`,
            '{{mirror}}',
          ),
        ],
      },
    ],
  },
  {
    title: 'Nodes with shared agents',
    panels: [
      {
        title: 'Nodes that reach the mirror',
        description: 'Of all whose agents are read. On the others pulls go to the upstream.',
        unit: 'short',
        shape: 'lines',
        queries: [
          query(
            `sum by (mirror) (max by (mirror, node) (registry_mirror_node_forwarder_offered{${mirror}}))`,
            '{{mirror}} offered',
          ),
          query(
            `count by (mirror) (max by (mirror, node) (registry_mirror_node_complete{${mirror}}))`,
            '{{mirror}} nodes',
          ),
        ],
      },
      {
        title: 'Nodes where something is not in place',
        description: 'docs/nodes.md says what each finding means.',
        unit: 'none',
        shape: 'table',
        queries: [
          query(
            `max by (mirror, node) (registry_mirror_node_complete{${mirror}}) == 0`,
            '{{mirror}} {{node}}',
          ),
          query(
            `sum by (mirror, node, reason) (registry_mirror_node_findings{${mirror}})`,
            '{{mirror}} {{node}} {{reason}}',
          ),
        ],
      },
      {
        title: 'Runtimes that ask the mirror',
        description: 'Live: they have read their configuration.',
        unit: 'short',
        shape: 'lines',
        queries: [
          query(
            `sum by (mirror, runtime) (registry_mirror_node_runtime_live{${mirror}})`,
            '{{mirror}} {{runtime}}',
          ),
        ],
      },
      {
        title: 'Bytes to runtimes',
        description: 'Of connections that have ended.',
        unit: 'Bps',
        shape: 'lines',
        queries: [query(rate('registry_mirror_node_forwarder_sent_bytes', mirror), '{{mirror}}')],
      },
    ],
  },
  {
    title: 'Operator and webhook',
    panels: [
      {
        title: 'Replicas of the operator that act',
        description: '1, or nothing is repaired, renewed or changed.',
        unit: 'short',
        shape: 'stat',
        queries: [query('sum(registry_mirror_operator_leading)', 'leading')],
      },
      {
        title: 'Reconciles',
        description: 'By what came of them.',
        unit: 'reqps',
        shape: 'lines',
        queries: [
          query(
            'sum by (result) (rate(registry_mirror_operator_reconciles_total[$__rate_interval]))',
            '{{result}}',
          ),
        ],
      },
      {
        title: 'Seconds of a reconcile (95 of 100), and what fails',
        description: 'Failing: tried again until it works.',
        unit: 'short',
        shape: 'lines',
        queries: [
          query(
            'histogram_quantile(0.95, sum by (le) (rate(registry_mirror_operator_reconcile_duration_seconds_bucket[$__rate_interval])))',
            'seconds',
          ),
          query('max(registry_mirror_operator_failing)', 'failing'),
          query('max(registry_mirror_operator_queue_length)', 'waiting'),
        ],
      },
      {
        title: 'Reviews of the webhook',
        description: 'By result.',
        unit: 'reqps',
        shape: 'lines',
        queries: [
          query(
            'sum by (result) (rate(registry_mirror_webhook_reviews_total[$__rate_interval]))',
            '{{result}}',
          ),
        ],
      },
      {
        title: 'Seconds of a review (99 of 100)',
        description: 'Every pod that is made waits for it.',
        unit: 's',
        shape: 'lines',
        queries: [
          query(
            'histogram_quantile(0.99, sum by (le) (rate(registry_mirror_webhook_duration_seconds_bucket[$__rate_interval])))',
            'seconds',
          ),
        ],
      },
      {
        title: 'Images, and lines of the map with a fault',
        description: 'What became of the images that rules were asked for.',
        unit: 'short',
        shape: 'lines',
        queries: [
          query(
            'sum by (outcome) (rate(registry_mirror_webhook_images_total[$__rate_interval]))',
            '{{outcome}}',
          ),
          query('max(registry_mirror_webhook_map_faults)', 'faults'),
        ],
      },
    ],
  },
];

function query(expression: string, legend: string): Query {
  return { expression, legend };
}

function rate(metric: string, labels: string, by = 'mirror'): string {
  return `sum by (${by}) (rate(${metric}{${labels}}[$__rate_interval]))`;
}

function quantile(metric: string, labels: string, by: string): string {
  return `histogram_quantile(0.95, sum by (le, ${by}) (rate(${metric}_bucket{${labels}}[$__rate_interval])))`;
}
