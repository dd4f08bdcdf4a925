/** A node's report in Prometheus' text format, version 0.0.4. Written here: a library for it is a tenth of the agent's memory on every node. Pure. */
import type { MirrorOnNode, NodeReport } from '../../api/node-report.ts';

/** Returns the text and its content type. */
export function metricsOf(report: NodeReport): { readonly type: string; readonly text: string } {
  const lines = families.flatMap(({ name, help, samples }) => {
    const family = `registry_mirror_node_${name}`;
    const values = report.mirrors.flatMap((mirror) =>
      samples(mirror).map((sample) => `${family}{${labelsOf(mirror, sample)}} ${sample.value}`),
    );
    return [`# HELP ${family} ${help}`, `# TYPE ${family} gauge`, ...values];
  });
  return { type: 'text/plain; version=0.0.4; charset=utf-8', text: `${lines.join('\n')}\n` };
}

function labelsOf({ name: mirror }: MirrorOnNode, { labels = {} }: Sample): string {
  return Object.entries({ mirror, ...labels })
    .map(([name, value]) => `${name}="${escaped(value)}"`)
    .join(',');
}

function escaped(value: string): string {
  return value.replace(/[\\"\n]/g, (each) => (each === '\n' ? '\\n' : `\\${each}`));
}

interface Sample {
  readonly value: number;
  readonly labels?: Readonly<Record<string, string>>;
}

interface Family {
  readonly name: string;
  readonly help: string;
  readonly samples: (mirror: MirrorOnNode) => readonly Sample[];
}

const families: readonly Family[] = [
  {
    name: 'complete',
    help: '1 when everything that is desired is in place on the node.',
    samples: ({ complete }) => [{ value: Number(complete) }],
  },
  {
    name: 'forwarder_offered',
    help: '1 while the mirror is offered on loopback.',
    samples: ({ forwarder }) => (forwarder === null ? [] : [{ value: Number(forwarder.offered) }]),
  },
  {
    name: 'forwarder_connections',
    help: 'Connections that reached the mirror and have ended, since the agent began.',
    samples: ({ forwarder }) => (forwarder === null ? [] : [{ value: forwarder.connections }]),
  },
  {
    name: 'forwarder_sent_bytes',
    help: 'Bytes sent to runtimes over connections that have ended, since the agent began.',
    samples: ({ forwarder }) => (forwarder === null ? [] : [{ value: forwarder.bytes }]),
  },
  {
    name: 'forwarder_last_used_timestamp_seconds',
    help: 'When a connection last ended.',
    samples: ({ forwarder }) =>
      forwarder?.lastUsed === undefined ? [] : [{ value: Date.parse(forwarder.lastUsed) / 1000 }],
  },
  {
    name: 'runtime_wired',
    help: '1 when what the runtime reads sends pulls to the mirror.',
    samples: ({ runtimes }) =>
      runtimes.map(({ runtime, version = '', wired }) => ({
        value: Number(wired),
        labels: { runtime, version },
      })),
  },
  {
    name: 'runtime_live',
    help: '1 when the runtime has read that.',
    samples: ({ runtimes }) =>
      runtimes.map(({ runtime, live, reason }) => ({ value: Number(live), labels: { runtime, reason } })),
  },
  {
    name: 'findings',
    help: 'What a person should know of the node.',
    samples: ({ findings }) => {
      const reasons = [...new Set(findings.map(({ reason }) => reason))];
      return reasons.map((reason) => ({
        value: findings.filter((finding) => finding.reason === reason).length,
        labels: { reason },
      }));
    },
  },
];
