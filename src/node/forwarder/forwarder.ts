/**
 * Offers mirrors as plain HTTP on the node's loopback for as long as they answer, and speaks verified TLS to them.
 * The main file of this folder; used by the node agent alone. Level-based: whatever happened, what nginx runs on is made what it should be.
 */
import { mkdirSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { LogFollower } from '../../cache/broker/metrics/log-follower.ts';
import { pause, pauseUntil } from '../../cache/pause.ts';
import { errorMessage, type Logger } from '../../observe/log.ts';
import type { Finding } from '../finding.ts';
import { watchFolder } from '../watch-folder.ts';
import {
  askingSocket,
  connectionLogName,
  type ForwardedMirror,
  type ForwarderSurroundings,
  forwarderPaths,
} from './config.ts';
import { type ConnectionCounts, ConnectionTotals } from './connection-counts.ts';
import { MirrorWatch, type WatchTools } from './mirror-watch.ts';
import { ForwarderNginx } from './nginx.ts';
import { accepted, confOf, findingsOf, type Refusals, withPort, writable } from './refusals.ts';
import { findStreamModule } from './stream-module.ts';

export interface ForwarderOptions {
  /** A folder of its own, with a short path (it holds a unix socket); made if missing. */
  readonly folder: string;
  readonly log: Logger;
  /** Milliseconds that connections have to end in when the forwarder ends. */
  readonly drainMs?: number;
  readonly tools?: WatchTools;
  /** A mirror is offered or withdrawn, or is not offered for another reason. */
  readonly onChange?: () => void;
}

/** One mirror as it is offered now. */
export interface ForwarderStatus extends ConnectionCounts {
  readonly name: string;
  readonly port: number;
  readonly offered: boolean;
  /** When `offered` last changed, in milliseconds since 1970. */
  readonly since: number;
  /** CamelCase and stable: `Answers`, or why it is not offered. */
  readonly reason: string;
  readonly detail: string;
  /** Where `reason` is that of the port: why the mirror would not be offered on another one either. */
  readonly unanswered?: string;
}

type Why = Pick<ForwarderStatus, 'reason' | 'detail' | 'unanswered'>;
type Standing = Pick<ForwarderStatus, 'offered' | 'since' | 'reason' | 'detail' | 'unanswered'>;

const defaultDrainMs = 10_000;
/** What no event tells is looked at so often while something is amiss: a port that became free, an nginx that is up again. */
const lookAgainMs = 2000;
/** And so often while nothing is. */
const idleMs = 60_000;
const countMs = 5000;
/** Between two looks at what ended, however much ends. */
const restMs = 50;
const logLimit = 4 * 2 ** 20;

export class Forwarder {
  readonly #options: ForwarderOptions;
  readonly #nginx: ForwarderNginx;
  readonly #totals = new ConnectionTotals();
  readonly #follower: LogFollower;
  #mirrors: readonly ForwardedMirror[] = [];
  #watches = new Map<string, MirrorWatch>();
  #standings = new Map<string, Standing>();
  #findings: readonly Finding[] = [];
  /** What the configuration that was last in force offers. */
  #taken: readonly ForwardedMirror[] = [];
  #changed = Promise.withResolvers<void>();
  /** True when what answers is offered. */
  #isSettled = false;

  constructor(options: ForwarderOptions) {
    const { folder, log, drainMs = defaultDrainMs } = options;
    const paths = forwarderPaths(folder);
    this.#options = options;
    this.#nginx = new ForwarderNginx({ paths, log, drainMs, onExit: () => this.#changed.resolve() });
    this.#follower = new LogFollower({
      file: paths.connectionLog,
      pidFile: paths.pidFile,
      onLine: (line) => this.#heard(line),
      log,
      limit: logLimit,
    });
  }

  /** The mirrors wanted from now on; what stays the same goes on undisturbed. */
  update(mirrors: readonly ForwardedMirror[]): void {
    this.#mirrors = mirrors;
    this.#changed.resolve();
  }

  /** In the order of `update`. A connection counts once it has ended, at most 5 s later. */
  status(): ForwarderStatus[] {
    return this.#mirrors.map(({ name, port }) => ({
      name,
      port,
      ...(this.#standings.get(name) ?? { offered: false, since: 0, reason: 'NotProbed', detail: '' }),
      ...this.#totals.of(name),
    }));
  }

  /** What a person has to do something about: a port that is taken, a mirror that nginx cannot be told, an nginx without streams. */
  findings(): readonly Finding[] {
    return this.#findings;
  }

  /**
   * Runs until `signal` aborts; then the ports close at once, connections have `drainMs` to end, and no process is left. Where nginx cannot
   * forward at all it resolves at once, with a finding.
   */
  async run(signal: AbortSignal): Promise<void> {
    const surroundings = await this.#surroundings();
    if (surroundings === undefined) return;
    const counted = this.#count(signal);
    signal.addEventListener('abort', () => void this.#nginx.end(), { once: true });
    try {
      while (!signal.aborted) {
        this.#changed = Promise.withResolvers();
        this.#isSettled = false;
        await this.#reconcile(surroundings, signal).catch((error: unknown) =>
          this.#options.log.error({ error: errorMessage(error) }, 'Forwarder not up to date; tried again'),
        );
        await this.#change(signal);
      }
    } finally {
      await Promise.all([
        this.#nginx.end(),
        counted,
        ...[...this.#watches.values()].map((watch) => watch.stop()),
      ]);
    }
  }

  /** Undefined, and a finding, where nginx cannot forward. */
  async #surroundings(): Promise<ForwarderSurroundings | undefined> {
    const { folder, log } = this.#options;
    try {
      mkdirSync(folder, { recursive: true, mode: 0o700 });
      const module = await findStreamModule();
      return {
        paths: forwarderPaths(folder),
        module,
        user: process.getuid?.() === 0 ? 'root' : null,
        ipv6: hasIpv6(),
      };
    } catch (error) {
      const message = `No mirror is offered on this node's loopback: ${errorMessage(error)}`;
      this.#findings = [{ reason: 'NoForwarder', message, blocks: true }];
      log.error({ error: errorMessage(error) }, 'Forwarder was not started');
      return undefined;
    }
  }

  async #reconcile(surroundings: ForwarderSurroundings, signal: AbortSignal): Promise<void> {
    const refusals: Refusals = new Map();
    const wanted = writable(this.#mirrors, surroundings, refusals);
    await this.#watch(wanted);
    await this.#nginx.settle(signal);
    const held = this.#inForce().map(({ port }) => port);
    // Runtimes are led to the ports of the others too, where another program may listen meanwhile.
    const free = await withPort(wanted, held, surroundings.ipv6, refusals);
    const answering = free.flatMap((mirror) => this.#answering(mirror));
    const offered = await this.#offer(answering, surroundings, refusals, signal);
    this.#findings = findingsOf(refusals);
    this.#note(offered, refusals);
    this.#isSettled = refusals.size === 0 && offered.length === answering.length;
  }

  /** One watch for each mirror, and none for any other. */
  async #watch(mirrors: readonly ForwardedMirror[]): Promise<void> {
    const before = this.#watches;
    const isKept = (mirror: ForwardedMirror) =>
      JSON.stringify(before.get(mirror.name)?.mirror) === JSON.stringify(mirror);
    const kept = new Set(mirrors.filter(isKept).map(({ name }) => name));
    await Promise.all([...before].filter(([name]) => !kept.has(name)).map(([, watch]) => watch.stop()));
    const tools = { socketOf: this.#socketOf, ...this.#options.tools };
    const onChange = () => this.#changed.resolve();
    const watchOf = (mirror: ForwardedMirror) => {
      const known = before.get(mirror.name);
      return known && kept.has(mirror.name) ? known : new MirrorWatch(mirror, tools, onChange, known);
    };
    this.#watches = new Map(mirrors.map((mirror) => [mirror.name, watchOf(mirror)]));
    this.#totals.keep(mirrors.map(({ name }) => name));
    await Promise.all([...this.#watches.values()].map(({ looked }) => looked));
  }

  #inForce(): readonly ForwardedMirror[] {
    return this.#nginx.inForce === undefined ? [] : this.#taken;
  }

  readonly #socketOf = ({ name }: ForwardedMirror, address: string): string | undefined => {
    const taken = this.#inForce().find((mirror) => mirror.name === name);
    const isOffered = taken?.addresses.includes(address) === true;
    return isOffered ? askingSocket(forwarderPaths(this.#options.folder), name, address) : undefined;
  };

  /** The mirror with those of its addresses that answer; none when none does. */
  #answering(mirror: ForwardedMirror): ForwardedMirror[] {
    const addresses = this.#watches.get(mirror.name)?.offered ?? [];
    return addresses.length === 0 ? [] : [{ ...mirror, addresses }];
  }

  /** Makes nginx offer `mirrors`, without those it cannot take. Returns what is offered. */
  async #offer(
    mirrors: readonly ForwardedMirror[],
    surroundings: ForwarderSurroundings,
    refusals: Refusals,
    signal: AbortSignal,
  ): Promise<readonly ForwardedMirror[]> {
    if (mirrors.length === 0 && !this.#nginx.isStarted) return [];
    const take = (taken: readonly ForwardedMirror[]) =>
      this.#nginx.take(confOf(taken, surroundings, this.#filesOf(taken)), signal);
    let taken = mirrors;
    const inForce = await take(mirrors).catch(async () => {
      taken = await accepted(mirrors, surroundings, (conf) => this.#nginx.test(conf), refusals);
      return take(taken);
    });
    if (!inForce) return [];
    this.#taken = taken;
    return taken;
  }

  #filesOf(mirrors: readonly ForwardedMirror[]): string {
    return mirrors.map(({ name }) => this.#watches.get(name)?.fingerprint).join(' ');
  }

  #note(offered: readonly ForwardedMirror[], refusals: Refusals): void {
    const now = (this.#options.tools?.now ?? Date.now)();
    const names = new Set(offered.map(({ name }) => name));
    const before = this.#standings;
    this.#standings = new Map(
      this.#mirrors.map(({ name }) => {
        const isOffered = names.has(name);
        const why: Why = isOffered ? { reason: 'Answers', detail: '' } : this.#whyNot(name, refusals);
        const known = before.get(name);
        const changed = (known?.offered ?? false) !== isOffered;
        if (changed)
          this.#options.log.info({ mirror: name, ...why }, isOffered ? 'Mirror offered' : 'Mirror withdrawn');
        const isSame = known?.reason === why.reason && known.unanswered === why.unanswered;
        if (changed || !isSame) this.#options.onChange?.();
        const since = changed || known === undefined ? now : known.since;
        return [name, { offered: isOffered, since, ...why }];
      }),
    );
  }

  #whyNot(name: string, refusals: Refusals): Why {
    const refusal = refusals.get(name);
    const why = this.#watches.get(name)?.why ?? { reason: 'NotProbed', detail: '' };
    if (refusal !== undefined)
      return { ...refusal, ...(why.reason !== 'Answers' && { unanswered: why.reason }) };
    return why.reason === 'Answers' ? { reason: 'NginxDown', detail: 'nginx is being started' } : why;
  }

  async #change(signal: AbortSignal): Promise<void> {
    await pauseUntil(this.#changed.promise, this.#isSettled ? idleMs : lookAgainMs, signal);
  }

  /** A connection has ended. One that did not reach the mirror is the first to know that it is gone. */
  #heard(line: string): void {
    const failed = this.#totals.add(line);
    if (failed !== undefined) this.#watches.get(failed)?.doubt();
  }

  /** Soon after a connection ended, and now and then whatever is told. */
  async #count(signal: AbortSignal): Promise<void> {
    const { folder } = this.#options;
    let ended = Promise.withResolvers<void>();
    const watcher = watchFolder(folder, (name) => {
      if (name === connectionLogName) ended.resolve();
    });
    try {
      do {
        ended = Promise.withResolvers();
        await this.#follower.poll();
        await pause(restMs, signal);
      } while (await pauseUntil(ended.promise, countMs, signal));
    } finally {
      watcher?.close();
    }
  }
}

function hasIpv6(): boolean {
  return Object.values(networkInterfaces()).some((all) => all?.some(({ address }) => address === '::1'));
}
