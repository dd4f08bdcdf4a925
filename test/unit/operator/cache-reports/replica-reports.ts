/** Reports of replicas for tests. */
import { type CacheReportInput, parseCacheReport } from '../../../../src/cache/cache-report.ts';
import type { ReplicaReport } from '../../../../src/operator/cache-reports/replica-report.ts';

type MirrorInput = CacheReportInput['mirrors'][number];

/** What a broker would say of the mirror `hub`, as it is read. */
export function reportOf(mirror: Partial<MirrorInput> = {}) {
  const upstream = { reason: 'Ok', since: '2026-01-01T00:00:00Z' };
  return parseCacheReport(JSON.stringify({ version: 1, mirrors: [{ name: 'hub', upstream, ...mirror }] }));
}

/** The same with the replica that said it. */
export function replicaReport(
  mirror: Partial<MirrorInput> = {},
  replica = 'registry-mirror-hub-0',
): ReplicaReport {
  const [report] = reportOf(mirror).mirrors;
  return { mirror: 'hub', replica, at: Date.parse('2026-01-01T00:00:00Z'), report: report! };
}
