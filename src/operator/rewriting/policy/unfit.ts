/** Why a rule set cannot be a policy's parameters. */

export interface Unfit {
  /** CamelCase, stable. */
  readonly reason: 'ChainOfRules' | 'NotExpressible' | 'TooCostly' | 'TooLarge';
  /** For people. */
  readonly message: string;
}

/** The rules lead on from one to another, which one pass over the images does not follow. */
export function chain(message: string): Unfit {
  return { reason: 'ChainOfRules', message };
}

/** CEL has no words for it. */
export function notExpressible(message: string): Unfit {
  return { reason: 'NotExpressible', message };
}
