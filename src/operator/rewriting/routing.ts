/** Who rewrites where: decided by the policy's plan, read by whoever keeps the webhook's configuration. */

export interface Routing {
  readonly engine: 'webhook' | 'policy';
  /** Why this engine, for people. */
  readonly why: string;
  /** Namespaces whose pods the webhook rewrites. */
  readonly webhook: 'all' | readonly string[];
}
