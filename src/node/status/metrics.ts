/** A node's report in Prometheus' text format. */
import { Gauge, Registry } from 'prom-client';
import type { MirrorOnNode, NodeReport } from '../../api/node-report.ts';

/** Returns the text and its content type. */
export async function metricsOf(
  report: NodeReport,
): Promise<{ readonly type: string; readonly text: string }> {
  const registry = new Registry();
  const registers = [registry];
  for (const { name, help, labels, samples } of families) {
    const gauge = new Gauge({ name: `registry_mirror_node_${name}`, help, labelNames: labels, registers });
    for (const mirror of report.mirrors) {
      for (const { value, ...own } of samples(mirror))
        gauge.set({ mirror: mirror.name, ...own.labels }, value);
    }
  }
  return { type: registry.contentType, text: await registry.metrics() };
}

interface Sample {
  readonly value: number;
  readonly labels?: Readonly<Record<string, string>>;
}

interface Family {
  readonly name: string;
  readonly help: string;
  readonly labels: string[];
  readonly samples: (mirror: MirrorOnNode) => readonly Sample[];
}

const families: readonly Family[] = [
  {
    name: 'complete',
    help: '1 when everything that is desired is in place on the node.',
    labels: ['mirror'],
    samples: ({ complete }) => [{ value: Number(complete) }],
  },
  {
    name: 'forwarder_offered',
    help: '1 while the mirror is offered on loopback.',
    labels: ['mirror'],
    samples: ({ forwarder }) => (forwarder === null ? [] : [{ value: Number(forwarder.offered) }]),
  },
  {
    name: 'forwarder_connections',
    help: 'Connections that reached the mirror and have ended, since the agent began.',
    labels: ['mirror'],
    samples: ({ forwarder }) => (forwarder === null ? [] : [{ value: forwarder.connections }]),
  },
  {
    name: 'forwarder_sent_bytes',
    help: 'Bytes sent to runtimes over connections that have ended, since the agent began.',
    labels: ['mirror'],
    samples: ({ forwarder }) => (forwarder === null ? [] : [{ value: forwarder.bytes }]),
  },
  {
    name: 'forwarder_last_used_timestamp_seconds',
    help: 'When a connection last ended.',
    labels: ['mirror'],
    samples: ({ forwarder }) =>
      forwarder?.lastUsed === undefined ? [] : [{ value: Date.parse(forwarder.lastUsed) / 1000 }],
  },
  {
    name: 'runtime_wired',
    help: '1 when what the runtime reads sends pulls to the mirror.',
    labels: ['mirror', 'runtime', 'version'],
    samples: ({ runtimes }) =>
      runtimes.map(({ runtime, version = '', wired }) => ({
        value: Number(wired),
        labels: { runtime, version },
      })),
  },
  {
    name: 'runtime_live',
    help: '1 when the runtime has read that.',
    labels: ['mirror', 'runtime', 'reason'],
    samples: ({ runtimes }) =>
      runtimes.map(({ runtime, live, reason }) => ({ value: Number(live), labels: { runtime, reason } })),
  },
  {
    name: 'findings',
    help: 'What a person should know of the node.',
    labels: ['mirror', 'reason'],
    samples: ({ findings }) => {
      const reasons = [...new Set(findings.map(({ reason }) => reason))];
      return reasons.map((reason) => ({
        value: findings.filter((finding) => finding.reason === reason).length,
        labels: { reason },
      }));
    },
  },
];
