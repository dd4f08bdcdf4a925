/** What one replica said. */
import type { CacheMirrorReport } from '../../cache/cache-report.ts';

/** A report; `at`: when the replica was asked, in milliseconds since the epoch. */
export interface ReplicaReport {
  readonly mirror: string;
  readonly replica: string;
  readonly at: number;
  readonly report: CacheMirrorReport;
}

/** What a condition says where nobody can be asked. */
export const noReport = {
  status: 'Unknown',
  reason: 'NoReport',
  message:
    'No cache replica has told of itself: none is ready, or the operator may not list and watch EndpointSlices',
} as const;

/** The replicas' names, for a message. */
export function replicaNames(reports: readonly { readonly replica: string }[]): string {
  return reports.map(({ replica }) => replica).join(', ');
}
