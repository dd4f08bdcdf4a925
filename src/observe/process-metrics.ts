/** What every process tells of itself in the form of Prometheus: the figures of its run-time, and which build it is. */
import { collectDefaultMetrics, Gauge, type Registry } from 'prom-client';
import { packageVersion } from './version.ts';

export function registerProcessMetrics(registry: Registry): void {
  collectDefaultMetrics({ register: registry });
  new Gauge({
    name: 'registry_mirror_build_info',
    help: 'Always 1.',
    labelNames: ['version', 'node'],
    registers: [registry],
  }).set({ version: packageVersion(), node: process.versions.node }, 1);
}
