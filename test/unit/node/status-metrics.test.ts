import test from 'ava';
import { Gauge, Registry } from 'prom-client';
import type { NodeReport } from '../../../src/api/node-report.ts';
import { metricsOf } from '../../../src/node/status/metrics.ts';

const report: NodeReport = {
  node: 'node-one',
  at: '2026-01-01T00:00:00Z',
  mode: 'wire',
  mirrors: [
    {
      name: 'hub',
      complete: true,
      forwarder: {
        port: 29_001,
        offered: true,
        reason: 'Answers',
        detail: '',
        connections: 3,
        bytes: 12,
        lastUsed: '1970-01-01T00:01:40Z',
      },
      runtimes: [
        {
          runtime: 'docker',
          found: true,
          version: '20"\\\n1',
          wired: true,
          live: false,
          reason: 'NotReloaded',
          message: '',
        },
      ],
      findings: [
        { reason: 'A', message: '', blocks: true },
        { reason: 'A', message: '', blocks: true },
      ],
    },
    { name: 'other', complete: false, forwarder: null, runtimes: [], findings: [] },
  ],
};

test('the metrics are those of the report, in the format that Prometheus reads', (t) => {
  const { text, type } = metricsOf(report);
  t.is(type, Registry.PROMETHEUS_CONTENT_TYPE);
  const samples = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  t.deepEqual(samples, [
    'registry_mirror_node_complete{mirror="hub"} 1',
    'registry_mirror_node_complete{mirror="other"} 0',
    'registry_mirror_node_forwarder_offered{mirror="hub"} 1',
    'registry_mirror_node_forwarder_connections{mirror="hub"} 3',
    'registry_mirror_node_forwarder_sent_bytes{mirror="hub"} 12',
    'registry_mirror_node_forwarder_last_used_timestamp_seconds{mirror="hub"} 100',
    'registry_mirror_node_runtime_wired{mirror="hub",runtime="docker",version="20\\"\\\\\\n1"} 1',
    'registry_mirror_node_runtime_live{mirror="hub",runtime="docker",reason="NotReloaded"} 0',
    'registry_mirror_node_findings{mirror="hub",reason="A"} 2',
  ]);
});

test('a value, a label and the lines about a family are written as prom-client writes them', async (t) => {
  const registers = [new Registry()];
  const name = 'registry_mirror_node_runtime_wired';
  const help = '1 when what the runtime reads sends pulls to the mirror.';
  const gauge = new Gauge({ name, help, labelNames: ['mirror', 'runtime', 'version'], registers });
  gauge.set({ mirror: 'hub', runtime: 'docker', version: '20"\\\n1' }, 1);
  const expected = (await registers[0]!.metrics()).trimEnd();
  t.true(metricsOf(report).text.includes(expected), expected);
});
