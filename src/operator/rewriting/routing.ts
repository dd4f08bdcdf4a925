/** Who rewrites where. Types only: the policy's plan decides it, the webhook's configuration follows. */

export interface Routing {
  readonly engine: 'webhook' | 'policy';
  /** For people: why this engine. */
  readonly why: string;
  /** Namespaces whose pods the webhook rewrites. */
  readonly webhook: 'all' | readonly string[];
}
