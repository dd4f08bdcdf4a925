/**
 * The node agent: keeps one node wired to its mirrors, or takes that back. Level-based: every pass reads what is there and writes only what differs.
 * Used by cli/node-agent.ts alone; imports nothing of kube (no API access on a node).
 */
import type { NodeReport } from '../api/node-report.ts';
import { errorMessage } from '../observe/error-message.ts';
import type { Logger } from '../observe/log.ts';
import type { NodeFacts } from './facts.ts';
import { removeFile } from './files.ts';
import type { Finding } from './finding.ts';
import type { Forwarder, ForwarderStatus } from './forwarder/forwarder.ts';
import type { ProbeFailure } from './forwarder/probe.ts';
import { Hint } from './hint.ts';
import { loopbackMirrors } from './loopback-mirrors.ts';
import type { AgentOptions, MirrorList, WiredMirror } from './options.ts';
import { makePass, type PassReport, type PassTools } from './pass.ts';
import { writeAtomically } from './replace-file.ts';
import type { RestartOutcome } from './restart-containerd.ts';
import { OutOfReach, youngestSignalled } from './signal.ts';
import { nodeReport } from './status/node-report.ts';
import { Strangers } from './strangers.ts';

/** What an agent works with beside its files. */
export interface AgentParts extends PassTools {
  readonly findRuntimes: () => Promise<NodeFacts>;
  /** Restarts containerd where that is certain to work. */
  readonly restart?: () => RestartOutcome;
  /** Milliseconds of a clock that never goes back. */
  readonly now?: () => number;
  /** None where nothing is offered on loopback. */
  readonly forwarder?: Pick<Forwarder, 'update' | 'status' | 'findings'>;
}

/** One agent; start it with `run`. */
export class NodeAgent {
  readonly #options: AgentOptions;
  readonly #parts: AgentParts;
  readonly #log: Logger;
  readonly #told: FindingLog;
  readonly #hint: Hint;
  readonly #strangers: Strangers;
  #last: { list: MirrorList; facts: NodeFacts; pass: PassReport; at: number } | undefined;

  #restart: readonly Finding[] = [];

  constructor(options: AgentOptions, parts: AgentParts, log: Logger) {
    this.#options = options;
    this.#parts = parts;
    this.#log = log;
    this.#told = new FindingLog(log);
    this.#hint = new Hint();
    this.#strangers = new Strangers(parts.now ?? (() => performance.now()));
  }

  /** Makes passes until `signal` aborts; changes nothing on the way out (an agent cannot tell an update from the end). */
  async run(signal: AbortSignal): Promise<void> {
    removeFile(this.#parts.files, this.#options.readyFile);
    this.#hint.watch(this.#options, this.#parts);
    try {
      while (!signal.aborted) {
        const report = await this.#tryPass();
        if (report !== undefined) writeReady(this.#options, this.#parts, report, this.#log);
        await this.#hint.wait(this.#interval, signal);
      }
    } finally {
      this.#hint.close();
    }
  }

  /** Makes one pass; resolves with true when everything desired is in place. Rejects where there can be none. */
  async once(): Promise<boolean> {
    return (await this.#pass()).complete;
  }

  /** A pass is wanted soon. */
  wake(): void {
    this.#hint.give();
  }

  /** What the operator brings, as JSON; false where this agent takes no list. Throws a `TypeError` where it is none. */
  takeList(body: string): boolean {
    const { takeList } = this.#options;
    if (takeList?.(body) === true) this.wake();
    return takeList !== undefined;
  }

  /** The operator's word that containerd may be restarted now; nothing is done where nothing is needed. */
  allowRestart(mirror: string): void {
    const told = this.report()?.mirrors.find(({ name }) => name === mirror);
    const isNeeded = told?.runtimes.some(({ restartNeeded }) => restartNeeded === true);
    const { restart } = this.#parts;
    if (isNeeded !== true || restart === undefined) return;
    const { pid, findings } = restart();
    this.#restart = findings;
    for (const finding of findings) this.#log.warn({ ...finding }, 'containerd was not restarted');
    if (pid !== undefined) this.#log.info({ mirror, pid }, 'Restarted containerd');
    this.wake();
  }

  /** What is known of the node; undefined before the first pass. */
  report(): NodeReport | undefined {
    if (this.#last === undefined) return undefined;
    const { list, ...last } = this.#last;
    const { node, mode } = this.#options;
    const { forwarder } = this.#parts;
    const forwarded = {
      forwarder: forwarder?.status() ?? [],
      forwarderFindings: forwarder?.findings() ?? [],
    };
    return nodeReport({
      node,
      mode,
      mirrors: list.mirrors,
      knowsAll: list.whole,
      ...(list.version !== undefined && { version: list.version }),
      ...last,
      ...forwarded,
      restart: this.#restart,
    });
  }

  /** Resolves with the report that makes the agent ready: any pass in mode `wire`, a complete one in mode `restore`. */
  async #tryPass(): Promise<PassReport | undefined> {
    try {
      const report = await this.#pass();
      return this.#options.mode === 'wire' || report.complete ? report : undefined;
    } catch (error) {
      this.#log.error({ error: errorMessage(error) }, 'Pass failed');
      return undefined;
    }
  }

  async #pass(): Promise<PassReport> {
    const { mode } = this.#options;
    const list = this.#options.mirrors();
    const facts = await this.#parts.findRuntimes();
    this.#parts.forwarder?.update(mode === 'wire' ? loopbackMirrors(list.mirrors) : []);
    const answers = (mirror: WiredMirror) => this.#answers(mirror);
    this.#strangers.follow(list);
    const mayTakeBack = (name: string) => this.#strangers.mayTakeBack(name);
    const planned = { ...list, mirrors: list.mirrors.map((mirror) => this.#asPlanned(mirror)) };
    const pass = await makePass(
      { mode, places: this.#options, list: planned, facts, answers, mayTakeBack },
      this.#parts,
    );
    this.#last = { list, facts, pass, at: Date.now() };
    if (pass.containerd?.live !== false) this.#restart = [];
    logResults(pass, this.#log);
    this.#told.tell([...pass.findings, ...outOfReach(pass)]);
    return pass;
  }

  /** Until the forwarder has looked, nothing is known against the mirror; and a port that cannot be had is no fault of the mirror's. */
  #answers(mirror: WiredMirror): boolean {
    const status = this.#statusOf(mirror);
    return status === undefined || !faultsOfMirror.has(status.unanswered ?? status.reason);
  }

  /** Nothing is led to a port that is another program's: it may never answer, and nobody would go upstream. */
  #asPlanned(mirror: WiredMirror): WiredMirror {
    const status = this.#statusOf(mirror);
    if (status?.reason !== 'PortTaken') return mirror;
    const { port: _port, ...rest } = mirror;
    return rest;
  }

  #statusOf({ name }: WiredMirror): ForwarderStatus | undefined {
    return this.#parts.forwarder?.status().find((each) => each.name === name);
  }

  /** A runtime that had just begun takes its signal soon. */
  get #interval(): number {
    const { interval } = this.#options;
    const { pass } = this.#last ?? {};
    const owes = (pass?.owed.length ?? 0) > (pass === undefined ? 0 : outOfReach(pass).length);
    return owes ? Math.min(interval, youngestSignalled * 1000) : interval;
  }
}

/** Why the forwarder does not offer a mirror, where that is because the mirror does not answer as it should. */
const faultsOfMirror: ReadonlySet<string> = new Set<ProbeFailure | 'BadCertificateFiles'>([
  'Refused',
  'Timeout',
  'Untrusted',
  'Status',
  'Failed',
  'BadCertificateFiles',
]);

/** Processes that nobody here can tell, however often it is tried. */
export function outOfReach({ results }: PassReport): Finding[] {
  return results.flatMap(({ error }) =>
    error instanceof OutOfReach ? [{ reason: 'OutOfReach', message: error.message, blocks: false }] : [],
  );
}

/** Logs what a pass did. */
export function logResults(report: PassReport, log: Logger): void {
  for (const { action, error } of report.results) {
    const fields = { do: action.do, path: action.path };
    const { name } = action.do === 'signal' ? { name: action.process } : { name: undefined };
    if (error instanceof OutOfReach) continue;
    if (name !== undefined && error === undefined) log.info({ process: name }, 'Process told');
    else if (name !== undefined)
      log.warn({ process: name, error: errorMessage(error) }, 'Process not told yet');
    else if (error === undefined) log.info(fields, 'Node file changed');
    else log.error({ ...fields, error }, 'Node file was not changed');
  }
}

/** The ready file holds the last pass's outcome, for people. A node that cannot be wired is ready too, so that it stalls no rollout. */
function writeReady(options: AgentOptions, tools: PassTools, report: PassReport, log: Logger): void {
  const content = `${JSON.stringify({ mode: options.mode, complete: report.complete, findings: report.findings })}\n`;
  try {
    if (tools.files.readFileSync(options.readyFile, 'utf8') === content) return;
  } catch {
    // Not there yet.
  }
  try {
    writeAtomically(tools.files, options.readyFile, Buffer.from(content), { mode: 0o644 });
  } catch (error) {
    log.error({ error: errorMessage(error) }, 'Ready file was not written');
  }
}

/** Tells each finding once, when it appears, and that it is gone. */
class FindingLog {
  readonly #log: Logger;
  #told = new Map<string, Finding>();

  constructor(log: Logger) {
    this.#log = log;
  }

  tell(findings: readonly Finding[]): void {
    const now = new Map(findings.map((finding) => [JSON.stringify(finding), finding]));
    for (const [key, finding] of now)
      if (!this.#told.has(key)) this.#log.warn({ ...finding }, 'Node finding');
    for (const [key, { reason, path }] of this.#told) {
      if (!now.has(key)) this.#log.info({ reason, path }, 'Node finding is gone');
    }
    this.#told = now;
  }
}
