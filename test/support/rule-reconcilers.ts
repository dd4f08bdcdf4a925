/** The reconcilers of ImageMaps and of imageswap's map in this process, driven by a queue as the operator drives them. */
import assert from 'node:assert/strict';
import type { RewriteSettings } from '../../src/api/rewrite-settings.ts';
import { rewriteImage } from '../../src/image/rules/table.ts';
import { createClient } from '../../src/kube/client.ts';
import { loadConnection } from '../../src/kube/connection.ts';
import { EventRecorder } from '../../src/kube/events.ts';
import { WorkQueue } from '../../src/kube/work-queue.ts';
import { createLogger } from '../../src/observe/log.ts';
import { LiveView } from '../../src/operator/live-view.ts';
import { onImageMapChanges } from '../../src/operator/rewriting/image-map-changes.ts';
import { ImageMapStatuses } from '../../src/operator/rewriting/image-map-statuses.ts';
import { MapFaults } from '../../src/operator/rewriting/map-faults.ts';
import { RuleWatch } from '../../src/rewriting/rule-watch.ts';
import { eventually } from './eventually.ts';
import type { PodAccess } from './pod-access.ts';

const settings: RewriteSettings = {
  engine: 'webhook',
  namespace: 'default',
  mirrors: false,
  imageswap: { configMapNamespace: 'default' },
  disableLabel: 'k8s.twr.io/imageswap',
  namespaces: 'all',
  skipOwners: [],
  annotate: true,
};

export interface RuleReconcilers {
  readonly rules: RuleWatch;
  /** What the rules make of an image in a namespace. */
  result(image: string, namespace: string): string;
  readonly log: readonly string[];
  stop(): Promise<void>;
}

/** Starts them against an API server; resolves when all rules were read. */
export async function startRuleReconcilers(access: PodAccess): Promise<RuleReconcilers> {
  const log: string[] = [];
  const destination = { write: (line: string) => void log.push(line) };
  const logger = createLogger({ level: 'debug', destination });
  const client = createClient(await loadConnection(access), { userAgent: 'rules', logger });
  const rules = new RuleWatch({ client, settings, maxPauseMs: 500, logger });
  const view = new LiveView(rules.imageMaps, { theirSpec: true });
  const events = new EventRecorder({ client, component: 'test', instance: 'test', logger });
  const statuses = new ImageMapStatuses({ client, rules, view, events, logger });
  const faults = new MapFaults({ rules, events, logger });
  const queue = new WorkQueue({ logger });
  const end = onImageMapChanges(rules, view, () => queue.add('maps'));
  const endFaults = rules.subscribe(() => queue.add('faults'));
  const stopping = new AbortController();
  const running = [
    rules.run(stopping.signal),
    queue.run(async (key, signal) => {
      const afterMs = await (key === 'maps' ? statuses : faults).reconcile(signal);
      queue.forget(key);
      if (afterMs !== undefined) queue.addAfter(key, afterMs);
    }, stopping.signal),
  ];
  await eventually(() => assert.equal(rules.synced, true));
  return {
    rules,
    log,
    result: (image, namespace) => rewriteImage(rules.table, image, { namespace }).result,
    async stop() {
      end();
      endFaults();
      stopping.abort();
      await Promise.all(running);
      await client.close();
    },
  };
}
