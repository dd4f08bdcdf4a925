/** From the body of a review to its answer, counted and logged. */
import type { RuleTable } from '../image/rules/table.ts';
import type { Logger } from '../observe/log.ts';
import { type Admission, type AdmitSettings, admit, isRewritten } from './admit.ts';
import { MeetingMemory } from './meeting-memory.ts';
import type { ReviewResult, WebhookMetrics } from './metrics.ts';
import type { Labels, NamespaceLabels } from './namespace-labels.ts';
import type { ReviewPath } from './paths.ts';
import type { Body } from './read-body.ts';
import { type AdmissionRequest, answerReview, faultyReview, parseReview, type Review } from './review.ts';
import { RewriteLog } from './rewrite-log.ts';

export interface ReviewHandlerOptions {
  readonly table: () => RuleTable;
  readonly namespaces: NamespaceLabels;
  readonly settings: AdmitSettings;
  readonly metrics: WebhookMetrics;
  readonly logger: Logger;
}

const faults = {
  tooLong: 'the body is too long',
  tooSlow: 'the body came too slowly',
  tooMuch: 'unfinished bodies were too much together',
} as const;
const nothing: Admission = { patch: [], warnings: [], decisions: [] };

export class ReviewHandler {
  readonly #options: ReviewHandlerOptions;
  readonly #meetings = new MeetingMemory();
  readonly #log: RewriteLog;

  constructor(options: ReviewHandlerOptions) {
    this.#options = options;
    this.#log = new RewriteLog(options.logger);
  }

  /** Writes what is still to be logged. */
  close(): void {
    this.#log.flush();
  }

  /** Returns the text of the answer, which always allows. Never rejects or throws. */
  answer(path: ReviewPath, body: Body): string | Promise<string> {
    const { outcome, text } = body;
    const review = outcome === 'complete' ? parseReview(text) : faultyReview(text, faults[outcome]);
    if ('fault' in review) return this.#unusable(path, review, review.fault);
    const labels = this.#labelsFor(review.request);
    return labels instanceof Promise
      ? labels.then((known) => this.#decide(path, review, review.request, known))
      : this.#decide(path, review, review.request, labels);
  }

  #unusable(path: ReviewPath, review: Review, fault: string): string {
    this.#options.metrics.review(path, { operation: '', dryRun: false }, 'invalid');
    this.#options.logger.debug({ path: path.path, fault }, 'Answered what is no review');
    return answerReview(review, nothing);
  }

  #labelsFor({ namespace, object }: AdmissionRequest): Labels | Promise<Labels> {
    return namespace === '' || object === undefined ? undefined : this.#options.namespaces.of(namespace);
  }

  /** A fault of ours costs nobody a pod. */
  #decide(path: ReviewPath, review: Review, request: AdmissionRequest, namespaceLabels: Labels): string {
    const { table, settings, metrics, logger } = this.#options;
    try {
      const admission = admit({ request, path, namespaceLabels, table: table(), settings });
      const answer = answerReview(review, admission);
      metrics.review(path, request, resultOf(admission));
      if (!request.dryRun) metrics.admission(admission);
      this.#log.add(request, admission);
      this.#tellMeetings(request, admission);
      return answer;
    } catch (error) {
      metrics.review(path, request, 'failed');
      logger.error({ error, uid: request.uid }, 'Could not decide about an object; it stays as it is');
      return answerReview(review, nothing);
    }
  }

  #tellMeetings(request: AdmissionRequest, { decisions }: Admission): void {
    if (request.dryRun) return;
    for (const decision of decisions) {
      const meeting = isRewritten(decision) ? this.#meetings.add(decision.rewrite) : undefined;
      if (meeting === undefined) continue;
      this.#options.metrics.meeting();
      this.#options.logger.warn(
        { ...meeting },
        'Images of several repositories have one name after rewriting',
      );
    }
  }
}

function resultOf({ patch, leftAlone }: Admission): ReviewResult {
  if (patch.length > 0) return 'patched';
  const reason = leftAlone?.reason;
  return reason === 'namespace' || reason === 'object' || reason === 'owner' ? 'optedOut' : 'unchanged';
}
