/**
 * The miss path: the only thing that talks to upstreams. nginx asks it over a unix socket for everything it does not
 * have; the contract between the two is in docs/architecture.md. Started by `src/cli/broker.ts` and by tests.
 */
import { readFile } from 'node:fs/promises';
import type { RequestListener } from 'node:http';
import { hostname } from 'node:os';
import { errorMessage } from '../../observe/error-message.ts';
import type { Logger } from '../../observe/log.ts';
import type { Network } from '../../registry/transport.ts';
import { configurationMark } from '../configuration-mark.ts';
import { pause } from '../pause.ts';
import { type BrokerConfig, parseBrokerConfig } from './broker-config.ts';
import { LeftFills } from './left-fills.ts';
import { runMetrics } from './metrics/metrics.ts';
import { processReport } from './metrics/process-report.ts';
import { type Mirror, openMirror } from './mirror.ts';
import { Peers } from './peers/peers.ts';
import { handleRequest } from './requests.ts';
import { closeServing, type Serving, serveOnSocket } from './socket.ts';
import { Store } from './store/store.ts';

export interface BrokerOptions {
  /** Path of `broker.json`. */
  readonly configFile: string;
  readonly log: Logger;
  /** Timeouts and name resolution; the defaults are for production. */
  readonly network?: Network;
  /** Which of the broker's processes this is; 0 when there is one. */
  readonly index?: number;
  /** Where requests come from; its own socket when absent. */
  readonly serve?: (listener: RequestListener) => Serving | Promise<Serving>;
  /** The name of this replica in the list of `peers`; default: the host's name, which is a pod's own. */
  readonly replica?: string;
  /** How often files are looked at, in milliseconds. */
  readonly followMs?: number;
  /** How long running requests may take to end when it is stopped, in milliseconds. */
  readonly drainMs?: number;
}

const defaultFollowMs = 2_000;
const defaultDrainMs = 20_000;

/**
 * Serves until `signal` aborts, then lets running requests finish and removes the socket. `onReady` is called when it
 * answers. Rejects when the configuration is bad at the start or the socket is somebody else's; later a bad
 * configuration leaves the old one in force.
 */
export async function runBroker(
  options: BrokerOptions,
  signal: AbortSignal,
  onReady = () => {},
): Promise<void> {
  const { log } = options;
  const text = await readFile(options.configFile, 'utf8');
  const broker = new Broker(options, text, signal);
  await broker.apply(broker.config);
  const serve = options.serve ?? ((listener) => serveOnSocket(broker.socket, listener));
  const serving = await serve((request, response) => {
    handleRequest(broker, request, response).catch((error: unknown) =>
      log.error({ error }, 'Request failed'),
    );
  });
  log.info({ process: options.index ?? 0, mirrors: broker.config.mirrors.length }, 'Broker ready');
  onReady();
  await Promise.all([broker.follow(signal), broker.store.run(), ...besides(broker, options, signal)]);
  await closeServing(serving, options.drainMs ?? defaultDrainMs, () => broker.breakOff());
  await broker.destroy();
  log.info('Broker stopped');
}

/** What the first process does for all of them. */
function besides(broker: Broker, { index = 0, log }: BrokerOptions, signal: AbortSignal): Promise<void>[] {
  if (index !== 0) return [];
  const own = () => processReport(broker);
  return [runMetrics({ config: () => broker.config, own, store: () => broker.store.report(), log }, signal)];
}

class Broker {
  readonly log: Logger;
  readonly running = new Set<AbortController>();
  readonly #options: BrokerOptions;
  readonly #peers: Peers;
  #config: BrokerConfig;
  /** The configuration's text as it was looked at last, as it is in force, and a look that goes on. */
  #seen: string;
  #inForce: string;
  #looking: Promise<boolean> | undefined;
  #mirrors = new Map<string, Mirror>();
  readonly store: Store;
  readonly leftFills: LeftFills;

  /** Throws for a bad configuration. */
  constructor(options: BrokerOptions, text: string, signal: AbortSignal) {
    const config = parseBrokerConfig(text);
    this.#options = options;
    this.#seen = text;
    this.#inForce = text;
    this.log = options.log;
    this.#peers = new Peers(options.replica ?? hostname(), options.log);
    this.#config = config;
    const forget = (mirror: string, corrupt?: string) => {
      this.mirror(mirror)?.forget();
      if (corrupt !== undefined) this.#peers.distrust(corrupt);
    };
    this.store = new Store(config, { index: options.index ?? 0, forget, log: options.log, signal });
    const socketPath = () => this.#config.localSocket;
    this.leftFills = new LeftFills({ socketPath, log: options.log, signal });
  }

  get config(): BrokerConfig {
    return this.#config;
  }

  get socket(): string {
    return this.#config.sockets[this.#options.index ?? 0] ?? '';
  }

  mirror = (name: string): Mirror | undefined => this.#mirrors.get(name);
  mirrors = (): Iterable<Mirror> => this.#mirrors.values();
  configuration = (): string => configurationMark(this.#inForce);
  sliceBytes = (): number => this.#config.sliceBytes;

  /** Opens what is new and closes what is gone; a mirror that is configured as before keeps tokens and connections. */
  async apply(config: BrokerConfig): Promise<void> {
    const old = this.#mirrors;
    const { log, network } = this.#options;
    await this.#peers.configure(config.peers);
    const opened = config.mirrors.map(async (wanted): Promise<[string, Mirror]> => {
      const same = old.get(wanted.name);
      const isSame = same !== undefined && JSON.stringify(same.config) === JSON.stringify(wanted);
      return [wanted.name, isSame ? same : await openMirror(wanted, { log, network, peers: this.#peers })];
    });
    this.#mirrors = new Map(await Promise.all(opened));
    this.#config = config;
    this.store.configure(config);
    const kept = new Set(this.#mirrors.values());
    for (const mirror of old.values()) {
      if (!kept.has(mirror))
        mirror.close().catch((error: unknown) => log.warn({ error }, 'Connections failed to close'));
    }
  }

  /** Looks at the configuration and every mirror's files until `signal` aborts. */
  async follow(signal: AbortSignal): Promise<void> {
    while (await pause(this.#options.followMs ?? defaultFollowMs, signal)) {
      await this.catchUp();
      await this.#peers.refresh();
      for (const mirror of this.#mirrors.values()) {
        await mirror
          .refresh()
          .catch((error: unknown) => this.log.error({ error }, 'Files failed to be followed'));
      }
    }
  }

  /** Takes on the configuration as it lies there, one look at a time; false: that is a bad one. */
  catchUp = (): Promise<boolean> => {
    this.#looking ??= this.#reload().finally(() => {
      this.#looking = undefined;
    });
    return this.#looking;
  };

  async #reload(): Promise<boolean> {
    const text = await readFile(this.#options.configFile, 'utf8').catch(() => this.#seen);
    // A bad one is complained of once.
    if (text !== this.#seen) {
      this.#seen = text;
      await this.#takeOn(text);
    }
    return text === this.#inForce;
  }

  async #takeOn(text: string): Promise<void> {
    try {
      const config = parseBrokerConfig(text);
      if (config.sockets[this.#options.index ?? 0] !== this.socket)
        this.log.warn('Another socket takes effect at the next start');
      await this.apply(config);
      this.#inForce = text;
      this.log.info({ mirrors: config.mirrors.length }, 'Configuration changed');
    } catch (error) {
      this.log.error({ detail: errorMessage(error) }, 'Bad configuration left the old one in force');
    }
  }

  breakOff(): void {
    for (const request of this.running) request.abort();
  }

  async destroy(): Promise<void> {
    await Promise.all([this.#peers, ...this.#mirrors.values()].map((part) => part.destroy()));
  }
}
