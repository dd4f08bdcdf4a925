/** Asks one mirror at all its addresses, again and again, and follows its certificate files. */
import { pauseUntil } from '../../cache/pause.ts';
import type { ForwardedMirror } from './config.ts';
import { MaterialFiles } from './material.ts';
import { doubtedState, firstState, nextState, type ProbeState, type ProbeTools, probe } from './probe.ts';

export interface WatchTools extends ProbeTools {
  /** Milliseconds from one good answer to the next question, at most. */
  readonly intervalMs?: number;
  readonly now?: () => number;
  /** 0 to 1, as `Math.random`. */
  readonly random?: () => number;
  /** The socket by which an address of the mirror may be asked, where nginx offers it. */
  readonly socketOf?: (mirror: ForwardedMirror, address: string) => string | undefined;
}

/** The part of an interval that is left to chance, so that the nodes do not ask at the same moment. */
const jitter = 0.2;
const defaultIntervalMs = 2000;
/**
 * After a bad answer while an address is offered. From the moment a mirror stops answering: 2 s until it is asked, 1 s of waiting, this pause,
 * 1 s, and the reload, together under 5 s; where somebody pulls, 1 s of their waiting, half a second of ours, and the reload.
 */
const recheckMs = 250;
/** For the answer of a mirror to which somebody has just waited a second in vain, and may wait again. */
const doubtedTimeoutMs = 500;
/** Every so many questions, a minute's, a whole handshake: nginx resumes TLS sessions, and does not see that a certificate has run out meanwhile. */
const handshakeEvery = 30;

/** Runs from its construction until `stop`; `onChange` is called when an answer or a file changed what it says. */
export class MirrorWatch {
  readonly mirror: ForwardedMirror;
  readonly #tools: WatchTools;
  readonly #files: MaterialFiles;
  readonly #states: Map<string, ProbeState>;
  readonly #onChange: () => void;
  readonly #end = new AbortController();
  readonly #done: Promise<void>;
  readonly #looked = Promise.withResolvers<void>();
  #doubted = Promise.withResolvers<void>();
  #isUrgent = false;
  #questions = 0;
  #wasOffered = false;

  /** `before`: of the same mirror, stopped; what it knows of the same server is kept. */
  constructor(mirror: ForwardedMirror, tools: WatchTools, onChange: () => void, before?: MirrorWatch) {
    this.mirror = mirror;
    this.#tools = tools;
    this.#onChange = onChange;
    const known = before !== undefined && identity(before.mirror) === identity(mirror) ? before : undefined;
    const isSame = known?.mirror.caFile === mirror.caFile;
    this.#files = known !== undefined && isSame ? known.#files : new MaterialFiles(mirror, tools.now);
    this.#wasOffered = known === undefined ? false : known.#wasOffered;
    const now = this.#now();
    this.#states = new Map(
      mirror.addresses.map((address) => [address, known?.stateOf(address) ?? firstState(now)]),
    );
    this.#done = this.#run();
  }

  /** Resolves when its files were read once: before, nothing may be offered. */
  get looked(): Promise<void> {
    return this.#looked.promise;
  }

  stateOf(address: string): ProbeState | undefined {
    return this.#states.get(address);
  }

  /** The addresses that may be offered, in the mirror's order. */
  get offered(): string[] {
    if (this.#files.current?.secureContext === undefined) return [];
    return this.mirror.addresses.filter((address) => this.#states.get(address)?.offered === true);
  }

  /** Of what its files hold. */
  get fingerprint(): string {
    return this.#files.current?.fingerprint ?? '';
  }

  /** Why it is offered or not. */
  get why(): { readonly reason: string; readonly detail: string } {
    const fault = this.#files.current?.fault;
    if (fault !== undefined) return { reason: 'BadCertificateFiles', detail: fault };
    const states = [...this.#states.values()];
    const { reason = 'NotProbed', detail = '' } = states.find(({ offered }) => offered) ?? states[0] ?? {};
    return { reason, detail };
  }

  /** A connection to the mirror could not be made: it is asked now. */
  doubt(): void {
    for (const [address, state] of this.#states) this.#states.set(address, doubtedState(state));
    this.#isUrgent = true;
    this.#doubted.resolve();
  }

  async stop(): Promise<void> {
    this.#end.abort();
    await this.#done;
  }

  async #run(): Promise<void> {
    const { intervalMs = defaultIntervalMs, random = Math.random } = this.#tools;
    const { signal } = this.#end;
    const usualMs = () => intervalMs * (1 - jitter * random());
    do {
      this.#doubted = Promise.withResolvers();
      const before = this.#summary();
      await this.#files.look();
      this.#looked.resolve();
      await this.#askAll();
      if (signal.aborted) return;
      if (this.#summary() !== before) this.#onChange();
      const isAwaited = this.#isDoubted() || this.#isArriving();
      if (!(await pauseUntil(this.#doubted.promise, isAwaited ? recheckMs : usualMs(), signal))) return;
    } while (!signal.aborted);
  }

  async #askAll(): Promise<void> {
    const secureContext = this.#files.current?.secureContext;
    if (secureContext === undefined) return;
    const { serverName, addresses, clientCertificate } = this.mirror;
    const asReader = clientCertificate !== undefined;
    const tools = this.#isUrgent ? { timeoutMs: doubtedTimeoutMs, ...this.#tools } : this.#tools;
    this.#isUrgent = false;
    this.#questions += 1;
    await Promise.all(
      addresses.map(async (address) => {
        const socket = this.#socketOf(address);
        const target = {
          address,
          serverName,
          secureContext,
          asReader,
          ...(socket !== undefined && { socket }),
        };
        const result = await probe(target, tools);
        const now = this.#now();
        this.#states.set(address, nextState(this.#states.get(address) ?? firstState(now), result, now));
      }),
    );
  }

  /** Where nginx can be asked instead of the address itself. */
  #socketOf(address: string): string | undefined {
    const { offered = false, against = 0 } = this.#states.get(address) ?? {};
    const isTrusted = offered && against === 0 && this.#questions % handshakeEvery !== 0;
    return isTrusted ? this.#tools.socketOf?.(this.mirror, address) : undefined;
  }

  /** A mirror that was never offered has answered once: nothing that goes to and fro is to be calmed down. */
  #isArriving(): boolean {
    const states = [...this.#states.values()];
    this.#wasOffered ||= states.some(({ offered }) => offered);
    return !this.#wasOffered && states.some(({ against }) => against > 0);
  }

  #isDoubted(): boolean {
    return [...this.#states.values()].some(({ offered, against }) => offered && against > 0);
  }

  #summary(): string {
    return JSON.stringify([this.offered, this.why, this.fingerprint]);
  }

  #now(): number {
    return (this.#tools.now ?? Date.now)();
  }
}

/** The same for mirrors whose answers mean the same. Renewed authorities are another file: nginx verifies by them at once, and the next answer counts. */
function identity({ serverName, clientCertificate }: ForwardedMirror): string {
  return JSON.stringify([serverName, clientCertificate]);
}
