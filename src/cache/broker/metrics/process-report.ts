/** What one broker process says of itself at `GET /-/status` on its socket. */
import { type CacheReportInput, cacheReportVersion } from '../../cache-report.ts';
import type { MirrorReport } from '../mirror-status.ts';

/** Returns the report of this process: all that a `CacheReport` holds but what only nginx and the disk tell. */
export function processReport(mirrors: Iterable<{ report(): MirrorReport }>): CacheReportInput {
  return { version: cacheReportVersion, mirrors: [...mirrors].map((mirror) => mirror.report()) };
}
