/**
 * The node agent: keeps one node wired to one mirror, or takes that back. Level-based: every pass reads what is there and writes only what differs.
 * Used by cli/node-agent.ts alone; imports nothing of kube (no API access on a node).
 */
import { type FSWatcher, watch } from 'node:fs';
import { basename, dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { errorMessage } from '../observe/error-message.ts';
import type { Logger } from '../observe/log.ts';
import { removeFile } from './files.ts';
import type { Finding } from './finding.ts';
import { resolveInRoot } from './host-root.ts';
import type { AgentOptions } from './options.ts';
import { makePass, type PassReport, type PassTools } from './pass.ts';
import { writeAtomically } from './replace-file.ts';

/** A hint is followed after this many ms, so that a burst (a Secret volume's swap) is one pass and a fight with another writer is bounded. */
const settleTime = 500;

/** Makes passes until `signal` aborts; changes nothing on the way out (an agent cannot tell an update from the end). */
export async function runAgent(
  options: AgentOptions,
  tools: PassTools,
  log: Logger,
  signal: AbortSignal,
): Promise<void> {
  removeFile(tools.files, options.readyFile);
  const hint = new Hint(options, tools);
  const told = new FindingLog(log);
  try {
    while (!signal.aborted) {
      const ready = await tryPass(options, tools, log, told);
      if (ready !== undefined) writeReady(options, tools, ready, log);
      await hint.wait(options.interval, signal);
    }
  } finally {
    hint.close();
  }
}

/** Makes one pass; resolves with true when everything desired is in place. */
export async function runOnce(options: AgentOptions, tools: PassTools, log: Logger): Promise<boolean> {
  const report = await makePass(options, tools);
  logResults(report, log);
  new FindingLog(log).tell(report.findings);
  return report.complete;
}

/** Logs what a pass did. */
export function logResults(report: PassReport, log: Logger): void {
  for (const { action, error } of report.results) {
    const fields = { do: action.do, path: action.path };
    if (error === undefined) log.info(fields, 'Node file changed');
    else log.error({ ...fields, error }, 'Node file was not changed');
  }
}

/** Resolves with the report that makes the agent ready: any pass in mode `wire`, a complete one in mode `restore`. */
async function tryPass(
  options: AgentOptions,
  tools: PassTools,
  log: Logger,
  told: FindingLog,
): Promise<PassReport | undefined> {
  try {
    const report = await makePass(options, tools);
    logResults(report, log);
    told.tell(report.findings);
    return options.mode === 'wire' || report.complete ? report : undefined;
  } catch (error) {
    log.error({ error: errorMessage(error) }, 'Pass failed');
    return undefined;
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

/** Cuts the pause short when the CA or the hosts file may have changed. A hint only: where a watch fails, the timer does it. */
class Hint {
  readonly #watchers: FSWatcher[] = [];
  #changed = Promise.withResolvers<void>();

  constructor(options: AgentOptions, tools: PassTools) {
    this.#watch(dirname(options.caFile), () => true);
    const hosts = resolveHosts(options, tools);
    if (hosts !== undefined) this.#watch(dirname(hosts), (name) => name === basename(hosts));
  }

  async wait(milliseconds: number, signal: AbortSignal): Promise<void> {
    const pause = new AbortController();
    const either = AbortSignal.any([signal, pause.signal]);
    await Promise.race([
      delay(milliseconds, undefined, { signal: either }).catch(() => undefined),
      this.#changed.promise,
    ]);
    pause.abort();
    this.#changed = Promise.withResolvers();
    await delay(settleTime, undefined, { signal }).catch(() => undefined);
  }

  close(): void {
    for (const watcher of this.#watchers) watcher.close();
  }

  #watch(folder: string, concerns: (name: string | null) => boolean): void {
    try {
      const watcher = watch(folder, (_, name) => {
        if (concerns(name)) this.#changed.resolve();
      });
      watcher.on('error', () => watcher.close());
      this.#watchers.push(watcher);
    } catch {
      // The folder is not there: the timer does it.
    }
  }
}

function resolveHosts(options: AgentOptions, tools: PassTools): string | undefined {
  try {
    return resolveInRoot(tools.files, options.hostRoot, options.hostsFile);
  } catch {
    return undefined;
  }
}
