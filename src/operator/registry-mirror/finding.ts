/** What a check of a mirror finds: a condition, and whether people should be told by an event. Types only. */
import type { ConditionFinding } from '../../api/conditions.ts';

/** A condition. */
export interface Finding extends ConditionFinding {
  /**
   * A Warning event is recorded when it shows; `once`: not again when it comes back; `byReason`: not again when only its message
   * changes.
   */
  readonly warn?: boolean | 'once' | 'byReason';
}

/** Something only a person can change; all of them together are condition `Stalled`. */
export interface Obstacle {
  /** CamelCase, stable. */
  readonly reason: string;
  readonly message: string;
}
