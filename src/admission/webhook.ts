/** The webhook's life: it follows rules and certificate, answers once it has both, and ends without a call that fails. */
import { setTimeout as delay } from 'node:timers/promises';
import type { RewriteSettings } from '../api/rewrite-settings.ts';
import type { RuleTable } from '../image/rules/table.ts';
import { aborted } from '../kube/aborted.ts';
import type { KubeClient } from '../kube/client.ts';
import type { Logger } from '../observe/log.ts';
import { servePages } from '../observe/pages.ts';
import { RuleWatch } from '../rewriting/rule-watch.ts';
import { AdmissionServer } from './admission-server.ts';
import { type KeyPair, KeyPairFolder } from './key-pair-folder.ts';
import { WebhookMetrics } from './metrics.ts';
import { NamespaceLabels } from './namespace-labels.ts';
import { ReviewHandler } from './review-handler.ts';
import { ruleCounts } from './rule-counts.ts';

export interface WebhookOptions {
  readonly client: KubeClient;
  readonly settings: RewriteSettings;
  /** Upper bound of the pause before a lost list or watch is tried again. */
  readonly maxPauseMs: number;
  /** Of reviews. */
  readonly port: number;
  /** Of `/healthz`, `/readyz`, `/metrics`; 0: none. */
  readonly httpPort: number;
  readonly certificateFolder: string;
  /** How long it goes on answering when it is to end: until nobody is sent to it any more. */
  readonly drainMs: number;
  readonly logger: Logger;
}

/** Then each answer ends its connection for so long. */
const closingMs = 5_000;
/** Faults of a map that are logged at one change. */
const mostFaultsLogged = 20;

export class Webhook {
  readonly #options: WebhookOptions;
  readonly #rules: RuleWatch;
  readonly #certificate: KeyPairFolder;
  readonly #metrics: WebhookMetrics;
  readonly #handler: ReviewHandler;
  readonly #server: AdmissionServer;
  #isReady = false;
  #toldFaults = new Set<string>();

  constructor(options: WebhookOptions) {
    const { client, settings, maxPauseMs, logger } = options;
    this.#options = options;
    this.#rules = new RuleWatch({ client, settings, maxPauseMs, logger });
    this.#certificate = new KeyPairFolder({
      folder: options.certificateFolder,
      changed: (pair: KeyPair) => this.#server.use(pair),
      logger,
    });
    this.#metrics = new WebhookMetrics({
      synced: () => this.#rules.synced,
      certificateExpiry: () => this.#certificate.pair?.notAfter,
      table: () => this.#rules.table,
    });
    this.#handler = this.#makeHandler();
    this.#server = new AdmissionServer({
      port: options.port,
      answer: (path, body) => this.#handler.answer(path, body),
      took: (seconds) => this.#metrics.took(seconds),
      pages: this.#pages(),
    });
  }

  /** Runs until `signal` is aborted and every call is answered; rejects when a port cannot be had. */
  async run(signal: AbortSignal): Promise<void> {
    const follow = new AbortController();
    const { httpPort, port, logger } = this.#options;
    const pages = await servePages(httpPort, this.#pages());
    const following = Promise.all([this.#rules.run(follow.signal), this.#certificate.run(follow.signal)]);
    try {
      await this.#untilKnown(signal);
      if (signal.aborted) return;
      this.#tellRules(this.#rules.table);
      this.#rules.subscribe((table) => this.#tellRules(table));
      await this.#server.listen();
      this.#isReady = true;
      logger.info({ port }, 'Answering reviews');
      await aborted(signal);
      await this.#end();
    } finally {
      follow.abort();
      pages.close();
      await following;
    }
  }

  #makeHandler(): ReviewHandler {
    const { client, settings, logger } = this.#options;
    const namespaces = new NamespaceLabels({
      store: this.#rules.namespaces,
      client,
      unknown: (namespace, error) => {
        this.#metrics.unknownNamespace();
        if (error !== undefined)
          logger.warn({ namespace, error }, 'Could not read the labels of a namespace; it counts as without');
      },
    });
    const table = () => this.#rules.table;
    return new ReviewHandler({ table, namespaces, settings, metrics: this.#metrics, logger });
  }

  #pages() {
    return { ready: () => this.#isReady, metrics: () => this.#metrics.text() };
  }

  /** A replica that does not know all rules yet would let images pass that are to be rewritten. */
  async #untilKnown(signal: AbortSignal): Promise<void> {
    while (!signal.aborted && !(this.#rules.synced && this.#certificate.pair !== undefined))
      await delay(50, undefined, { signal }).catch(() => undefined);
  }

  async #end(): Promise<void> {
    this.#isReady = false;
    this.#options.logger.info({ drainMs: this.#options.drainMs }, 'Ending; answering until nobody asks');
    await delay(this.#options.drainMs);
    await this.#server.close(closingMs);
    this.#handler.close();
  }

  /** Each fault once, for as long as it is there. */
  #tellRules(table: RuleTable): void {
    const { logger } = this.#options;
    logger.info({ rules: ruleCounts(table), mapFaults: table.mapFaults.length }, 'Rules are in force');
    const faults = [
      ...table.targetFaults.map(({ source, why }) => `${source}: ${why}`),
      ...table.mapFaults.map(({ line, why }) => `line ${line} of the imageswap map: ${why}`),
    ];
    const news = faults.filter((fault) => !this.#toldFaults.has(fault)).slice(0, mostFaultsLogged);
    for (const fault of news) logger.warn({ fault }, 'A rule is not in force as it is written');
    this.#toldFaults = new Set(faults.filter((fault) => this.#toldFaults.has(fault) || news.includes(fault)));
  }
}
