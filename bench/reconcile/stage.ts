/** The phases of a run: start, create, idle, restart; what happens in them is read from the audit log afterwards. */
import { loadavg } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import type { Guardian } from '../../test/kubernetes/guardian.ts';
import type { ControlPlane } from '../../test/support/control-plane.ts';
import { cpuSecondsOf, memoryOf } from '../process-usage.ts';
import { waitFor } from '../wait-for.ts';
import { isLease, type Period, type RequestEvent, requestsOf, takesLease } from './audit.ts';
import { type Figures, figuresOf, operatorUser, type Restart } from './figures.ts';
import { collections, expectedObjects, mirror, mirrorNames, mirrorsPath } from './mirrors.ts';
import { type OperatorCommand, OperatorProcess, scriptOf } from './operator-process.ts';

/** What a run needs to know beside its API server and its operator. */
export interface StageOptions {
  mirrors: number;
  idleSeconds: number;
  /** Told what happens, for people. */
  progress: (message: string) => void;
  signal: AbortSignal;
}

/** The operator is quiet when it made no request but for the Lease for so many milliseconds. */
const quietMs = 3_000;
const quietAfterRestartMs = 5_000;
/** Mirrors created at the same time, as `kubectl apply` from several pipelines would. */
const creators = 4;

/** One operator on one API server; `play` may be called once, `close` always has to be. */
export class Stage {
  readonly #options: StageOptions;
  readonly #plane: ControlPlane;
  readonly #guardian: Guardian;
  readonly #command: OperatorCommand;
  #operator: OperatorProcess | undefined;

  constructor(options: StageOptions, plane: ControlPlane, guardian: Guardian, command: OperatorCommand) {
    this.#options = options;
    this.#plane = plane;
    this.#guardian = guardian;
    this.#command = command;
  }

  /** Goes through all phases; a failure is told with the operator's last words. */
  async play(): Promise<Figures & { script: string }> {
    try {
      return await this.#phases();
    } catch (cause) {
      if (this.#options.signal.aborted || this.#operator === undefined) throw cause;
      const words = await this.#operator.lastWords();
      throw new Error(`${(cause as Error).message}\nThe operator wrote:\n${words}`, { cause });
    }
  }

  /** Ends the operator, if it still runs. */
  async close(): Promise<void> {
    await this.#operator?.kill();
  }

  async #phases(): Promise<Figures & { script: string }> {
    const { mirrors, idleSeconds, progress } = this.#options;
    const operator = await this.#start(quietMs);
    const script = await scriptOf(operator.pid);
    progress('The operator leads');
    const [loadBefore = 0] = loadavg();
    const cpuBefore = await cpuSecondsOf(operator.pid);
    const creation = await this.#create();
    const cpuSeconds = (await cpuSecondsOf(operator.pid)) - cpuBefore;
    progress(`All objects exist; counting for ${idleSeconds} idle seconds`);
    const idle = await this.#idle();
    operator.assertRunning();
    const memory = await memoryOf(operator.pid);
    const restart = await this.#restart(operator);
    progress('Restarted');
    const events = await this.#events();
    return {
      script,
      ...figuresOf(events, { mirrors, creation, loadBefore, cpuSeconds, idle, restart, memory }),
    };
  }

  /** Starts the operator; returns when it leads and has been quiet for `quiet` ms. */
  async #start(quiet: number): Promise<OperatorProcess> {
    const started = Date.now();
    const operator = new OperatorProcess(this.#command, this.#guardian);
    this.#operator = operator;
    const leads = async () => {
      operator.assertRunning();
      const requests = requestsOf(await this.#events(), operatorUser, { from: started, to: Date.now() + 1 });
      return requests.some(takesLease) ? undefined : `of its requests ${requests.length} were logged`;
    };
    await this.#waitFor('The operator takes the Lease', leads, 60);
    await this.#untilQuiet(quiet, Date.now());
    return operator;
  }

  async #create(): Promise<Period> {
    const from = Date.now();
    const names = mirrorNames(this.#options.mirrors);
    const left = names.values();
    await Promise.all(Array.from({ length: creators }, () => this.#createFrom(left)));
    await this.#waitFor('All objects exist', () => this.#missing(names), 60 + names.length);
    await this.#untilQuiet(quietMs, from);
    return { from, to: Date.now() };
  }

  async #createFrom(names: Iterable<string>): Promise<void> {
    for (const name of names) {
      const { signal } = this.#options;
      await this.#plane.adminFetch(mirrorsPath, { method: 'POST', body: mirror(name), signal });
    }
  }

  /** Says what does not exist yet. The status of a mirror comes last, so that most looks are one list. */
  async #missing(names: readonly string[]): Promise<string | undefined> {
    this.#operator?.assertRunning();
    const present = await this.#mirrorsWithStatus();
    if (present.size < names.length) return `${names.length - present.size} mirrors without a status`;
    for (const [resource, path] of Object.entries(collections)) {
      for (const { metadata } of await this.#list(path)) present.add(`${resource}/${metadata.name}`);
    }
    const missing = expectedObjects(names).filter((object) => !present.has(object));
    return missing.length === 0 ? undefined : `${missing.length} missing, such as ${missing.slice(0, 8)}`;
  }

  async #mirrorsWithStatus(): Promise<Set<string>> {
    const mirrors = await this.#list(mirrorsPath);
    const observed = mirrors.filter(
      ({ metadata, status }) => status?.observedGeneration === metadata.generation,
    );
    return new Set(observed.map(({ metadata }) => `registrymirrors/${metadata.name}/status`));
  }

  async #idle(): Promise<Period> {
    const from = Date.now();
    await delay(this.#options.idleSeconds * 1000, undefined, { signal: this.#options.signal });
    return { from, to: Date.now() };
  }

  /** Restarts the operator and ends it, so that the watches it had open come into the audit log. */
  async #restart(operator: OperatorProcess): Promise<Restart> {
    const from = Date.now();
    await operator.end();
    const started = Date.now();
    const again = await this.#start(quietAfterRestartMs);
    const to = Date.now();
    await again.end();
    await this.#untilQuiet(1_000, to);
    return { from, started, to };
  }

  /** Waits until the operator, `quiet` ms long and not before `since`, made no request but for the Lease. */
  async #untilQuiet(quiet: number, since: number): Promise<void> {
    const busy = async () => {
      const requests = requestsOf(await this.#events(), operatorUser).filter((event) => !isLease(event));
      const times = requests.map((event) => Date.parse(event.stageTimestamp));
      const last = times.reduce((latest, time) => Math.max(latest, time), since);
      return Date.now() - last >= quiet ? undefined : `${requests.length} requests and still more`;
    };
    await this.#waitFor('The operator is quiet', busy, 60 + this.#options.mirrors);
  }

  #waitFor(what: string, missing: () => Promise<string | undefined>, seconds: number): Promise<void> {
    return waitFor(what, missing, { seconds, signal: this.#options.signal });
  }

  async #list(path: string): Promise<ListedObject[]> {
    const { signal } = this.#options;
    return (await this.#plane.adminFetch<{ items: ListedObject[] }>(path, { signal })).items;
  }

  async #events(): Promise<RequestEvent[]> {
    // The type of the tests names only the fields they need; the API server writes all of them.
    return (await this.#plane.auditLog()) as RequestEvent[];
  }
}

interface ListedObject {
  metadata: { name: string; generation?: number };
  status?: { observedGeneration?: number };
}
