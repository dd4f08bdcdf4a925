/** Tells people of failures that nothing foresaw once they last: a passing one is the log's. The loop tries again all the same. */
import type { OperatorSettings } from '../../api/settings.ts';
import { ConnectionError } from '../../kube/errors.ts';
import type { EventRecorder } from '../../kube/events.ts';
import { errorMessage } from '../../observe/error-message.ts';
import { outcomeOf } from '../outcome.ts';
import { refusalOf } from './objects-pass.ts';
import type { Reporter } from './report.ts';
import type { StoredMirror } from './status.ts';
import { standingReport } from './stored-mirror.ts';

export interface FailuresOptions {
  readonly settings: Pick<OperatorSettings, 'addressingScheme'>;
  readonly events: EventRecorder;
  readonly reporter: Reporter;
  readonly now: () => Date;
}

/** An API server or a webhook of somebody that is started anew is back by then. */
const toldAfterMs = 10_000;

export class Failures {
  readonly #options: FailuresOptions;
  /** Since when each mirror fails, in milliseconds since the epoch. */
  readonly #since = new Map<string, number>();

  constructor(options: FailuresOptions) {
    this.#options = options;
  }

  /** The mirror was brought about, or is gone. */
  forget(mirror: string): void {
    this.#since.delete(mirror);
  }

  /** Takes what a pass threw. Nobody can be told by an API server that is away; what it refused is told already. */
  async tell(stored: StoredMirror, error: unknown, signal: AbortSignal): Promise<void> {
    if (signal.aborted || error instanceof ConnectionError || outcomeOf(error).kind !== 'backoff') return;
    const { metadata } = stored;
    const now = this.#options.now().getTime();
    // The clock may have been set back.
    const since = Math.min(this.#since.get(metadata.name) ?? now, now);
    this.#since.set(metadata.name, since);
    if (now - since < toldAfterMs) return;
    const obstacle = { reason: 'ReconcileFailed', message: `${errorMessage(error)}; it is tried again` };
    // The status of one that goes tells which nodes are still to be restored.
    if (metadata.deletionTimestamp !== undefined) {
      await this.#options.events.warning(stored, obstacle.reason, obstacle.message);
    } else if (refusalOf(error) === undefined) {
      const report = { ...standingReport(stored, this.#options.settings), obstacles: [obstacle] };
      await this.#options.reporter.report(stored, report, signal);
    }
  }
}
