/** The part of the operator that keeps the policy, in this process, driven by a queue as the operator drives it. */
import type { RewriteSettings } from '../../../src/api/rewrite-settings.ts';
import { createClient } from '../../../src/kube/client.ts';
import { loadConnection } from '../../../src/kube/connection.ts';
import { WorkQueue } from '../../../src/kube/work-queue.ts';
import { createLogger } from '../../../src/observe/log.ts';
import { PolicyWork } from '../../../src/operator/rewriting/policy-work.ts';
import type { Routing } from '../../../src/operator/rewriting/routing.ts';
import type { OwnerReference } from '../../../src/resources/object.ts';
import { RuleWatch } from '../../../src/rewriting/rule-watch.ts';
import type { PodAccess } from '../pod-access.ts';
import { defaultSettings } from './engine.ts';

export interface PolicyOperator {
  readonly work: PolicyWork;
  readonly log: readonly string[];
  /** Who rewrites where; throws while that is not known. */
  routing(): Promise<Routing>;
  stop(): Promise<void>;
}

export interface PolicyOperatorOptions {
  readonly access: PodAccess;
  readonly settings?: Partial<RewriteSettings>;
  readonly owner?: readonly OwnerReference[];
  readonly lookMs?: number;
  /** Namespaces that the webhook has taken on; by default whatever it should. */
  readonly covered?: Routing['webhook'];
}

const key = 'policy';

/** Starts it; it works until `stop`. */
export async function startPolicyOperator(options: PolicyOperatorOptions): Promise<PolicyOperator> {
  const { access, owner = [], lookMs = 1_000, covered = 'all' } = options;
  const log: string[] = [];
  const logger = createLogger({
    level: 'debug',
    destination: { write: (line: string) => void log.push(line) },
  });
  const client = createClient(await loadConnection(access), { userAgent: 'policy', logger });
  const settings = { ...defaultSettings, mirrors: false, ...options.settings };
  const rules = new RuleWatch({ client, settings, maxPauseMs: 500, logger });
  const work = new PolicyWork({
    ...{ client, settings, rules, maxPauseMs: 500, logger, lookMs },
    owner: async () => owner,
  });
  const queue = new WorkQueue({ logger, maxMs: 1_000 });
  const add = () => queue.add(key);
  const ends = [rules.subscribe(add), rules.namespaces.subscribe(add), work.subscribe(add)];
  const stopping = new AbortController();
  const running = [
    rules.run(stopping.signal),
    work.run(stopping.signal),
    queue.run(async (_key, signal) => {
      if (!rules.synced) return queue.addAfter(key, 20);
      const afterMs = await work.reconcile(signal, covered);
      queue.forget(key);
      if (afterMs !== undefined) queue.addAfter(key, afterMs);
    }, stopping.signal),
  ];
  add();
  return {
    work,
    log,
    routing: () => work.routing(stopping.signal),
    async stop() {
      for (const end of ends) end();
      stopping.abort();
      await Promise.all(running);
      await client.close();
    },
  };
}
