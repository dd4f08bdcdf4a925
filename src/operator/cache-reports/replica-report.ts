/** What one replica said, as far as it is believed: a pod's words go into conditions, so their form is checked here. */
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

/** A condition's reason is one CamelCase word. */
export function reasonWord(reason: string | undefined, otherwise: string): string {
  return reason !== undefined && /^[A-Za-z][A-Za-z0-9]{0,63}$/.test(reason) ? reason : otherwise;
}

const longestText = 500;

/** A part of a condition's message. */
export function shortText(text: string): string {
  return text.length > longestText ? `${text.slice(0, longestText)}…` : text;
}

/** The replicas' names, for a message. */
export function replicaNames(reports: readonly { readonly replica: string }[]): string {
  return reports.map(({ replica }) => replica).join(', ');
}
