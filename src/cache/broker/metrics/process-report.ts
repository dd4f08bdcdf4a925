/** What one broker process says of itself at `GET /-/status` on its socket. */
import { type CacheReportInput, cacheReportVersion } from '../../cache-report.ts';
import type { MirrorReport } from '../mirror-status.ts';

/** What a process reports from. */
export interface ProcessState {
  readonly mirrors: () => Iterable<{ report(): MirrorReport }>;
  /** Mark of the configuration that is in force. */
  readonly configuration: () => string;
}

/** Returns the report of this process: all that a `CacheReport` holds but what only nginx and the disk tell. */
export function processReport({ mirrors, configuration }: ProcessState): CacheReportInput {
  const reports = [...mirrors()].map((mirror) => ({ ...mirror.report(), configuration: configuration() }));
  return { version: cacheReportVersion, mirrors: reports };
}
