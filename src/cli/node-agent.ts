/** `node-agent`: keeps one node wired to its mirrors or takes that back; `restore --all`: takes back every mirror's, without a cluster. */
import * as files from 'node:fs';
import { isAbsolute, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Command, Option } from 'commander';
import { readNodeAgentEnvironment } from '../config/node-agent-environment.ts';
import { ConfigError } from '../config/problems.ts';
import { type AgentParts, logResults, NodeAgent, outOfReach } from '../node/agent.ts';
import { listHostFolder, readHostPath } from '../node/apply.ts';
import { Forwarder } from '../node/forwarder/forwarder.ts';
import { acquireLock } from '../node/lock.ts';
import type { AgentOptions, NodePlaces } from '../node/options.ts';
import { type PassReport, type PassTools, restoreMirrors } from '../node/pass.ts';
import { type RestartOutcome, restartContainerd } from '../node/restart-containerd.ts';
import { containerdVersion } from '../node/runtimes/containerd-version.ts';
import { crioVersion } from '../node/runtimes/crio-version.ts';
import { dockerInfo } from '../node/runtimes/docker-info.ts';
import { RuntimeFinder } from '../node/runtimes/find-runtimes.ts';
import { sendSignal } from '../node/signal.ts';
import { StatusServer } from '../node/status/status-server.ts';
import { createLogger, type Logger } from '../observe/log.ts';

/** dockerd reads a file of a few bytes. */
const settleMs = 1000;
/** Shorter than a pod's grace period and than the pause between passes. */
const lockWaitSeconds = 10;

interface NodeAgentFlags {
  readonly mode?: string;
  readonly once?: true;
}

interface RestoreFlags {
  readonly hostRoot: string;
  readonly stateDir: string;
  readonly hostsFile: string;
  readonly lockFile: string;
}

/** The command that the DaemonSet runs; everything but the mode comes from the environment. */
export function nodeAgentCommand(): Command {
  return new Command('node-agent')
    .description('wire this node to its mirrors and keep it wired, or take that back')
    .addOption(new Option('--mode <mode>', 'instead of NODE_AGENT_MODE').choices(['wire', 'restore']))
    .option('--once', 'make one pass; exit code 1 when something is not in place')
    .action(nodeAgent);
}

/** The command for a node whose cluster, operator or agent is gone. */
export function restoreCommand(): Command {
  return new Command('restore')
    .description('take back what the agents of all mirrors did on a node; needs no cluster')
    .requiredOption('--all', 'every mirror (stop the agents first: a running one wires again)')
    .option('--host-root <folder>', 'where the root of the node is', '/')
    .option(
      '--state-dir <path>',
      'the folder of the journal on the node',
      '/var/lib/registry-mirror-operator',
    )
    .option('--hosts-file <path>', 'the hosts file on the node', '/etc/hosts')
    .option('--lock-file <path>', "the agents' lock on the node", '/var/lock/mirror-hostess/mirror-hostess')
    .action(restoreAll);
}

async function nodeAgent(flags: NodeAgentFlags): Promise<void> {
  const { agent, mirror, logLevel } = readNodeAgentEnvironment(undefined, flags.mode);
  const base = createLogger({ level: logLevel });
  const log = mirror === undefined ? base : base.child({ mirror });
  const signal = endOfProcess();
  const parts = {
    ...toolsFor(agent.hostRoot, signal),
    ...runtimesOf(agent.hostRoot),
    restart: () => restart(agent.hostRoot),
  };
  if (flags.once !== true) return serveNode(agent, parts, log, signal);
  if (!(await new NodeAgent(agent, parts, log).once())) process.exitCode = 1;
}

/** Agent, forwarder and status server, until the process is to end. */
async function serveNode(
  options: AgentOptions,
  parts: AgentParts,
  log: Logger,
  signal: AbortSignal,
): Promise<void> {
  const onChange = () => agent.wake();
  const forwarder = new Forwarder({ folder: options.forwarderFolder, log, onChange });
  const agent = new NodeAgent(options, { ...parts, forwarder }, log);
  const { statusSocket, statusServer } = options;
  const status = new StatusServer({
    report: () => agent.report(),
    restart: (mirror) => agent.allowRestart(mirror),
    takeList: (body) => agent.takeList(body),
    socket: statusSocket,
    ...(statusServer && { server: statusServer }),
    log,
  });
  status.start();
  const refreshing = setInterval(() => status.refresh(), options.interval);
  try {
    await Promise.all([agent.run(signal), options.mode === 'wire' ? forwarder.run(signal) : undefined]);
  } finally {
    clearInterval(refreshing);
    status.close();
  }
}

async function restoreAll(flags: RestoreFlags): Promise<void> {
  assertRootOfNode(flags.hostRoot);
  const log = createLogger();
  const places: NodePlaces = {
    hostRoot: flags.hostRoot,
    stateFolder: flags.stateDir,
    hostsFile: flags.hostsFile,
    hostsBackup: `${flags.hostsFile}.backup`,
    lockFile: flags.lockFile,
  };
  const facts = await runtimesOf(flags.hostRoot).findRuntimes();
  const report = await restoreMirrors(places, toolsFor(flags.hostRoot, endOfProcess()), () => true, {
    facts,
  });
  logResults(report, log);
  for (const finding of [...report.findings, ...outOfReach(report)]) log.warn({ ...finding }, 'Node finding');
  tellEnd(report, flags.hostRoot, log);
  if (!report.complete) process.exitCode = 1;
}

/** Of a folder that is not there everything would be said to be taken back. */
function assertRootOfNode(hostRoot: string): void {
  if (isAbsolute(hostRoot) && files.statSync(join(hostRoot, 'etc'), { throwIfNoEntry: false })?.isDirectory())
    return;
  throw new ConfigError([
    `--host-root: expected the path of a node's root, with its folder etc in it, got ${JSON.stringify(hostRoot)}`,
  ]);
}

/** So that a root that is the wrong one does not look like a node that is well. */
function tellEnd({ complete, results }: PassReport, hostRoot: string, log: Logger): void {
  const done = results.filter(({ action, error }) => error === undefined && action.do !== 'signal');
  const outcome = done.length === 0 ? 'Nothing of ours was found' : 'Everything of ours was taken back';
  const fields = { hostRoot, changes: done.length };
  if (complete) log.info(fields, outcome);
  else log.error(fields, 'Not everything of ours could be taken back');
}

/** Of the process namespace that we may signal in. */
const processes = { files, procFolder: '/proc', kill: process.kill.bind(process), uid: 0 };

function toolsFor(hostRoot: string, signal: AbortSignal): PassTools {
  const seeing = { ...processes, hostProcFolder: join(hostRoot, 'proc') };
  return {
    files,
    lock: (path) => acquireLock(path, lockWaitSeconds, signal),
    signal: (name, what) => sendSignal(name, what, seeing),
    settle: () => delay(settleMs, undefined, { signal }).catch(() => undefined),
  };
}

function runtimesOf(hostRoot: string): Pick<AgentParts, 'findRuntimes'> {
  const finder = new RuntimeFinder({ files, hostRoot, containerdVersion, crioVersion, dockerInfo });
  return { findRuntimes: () => finder.find() };
}

function restart(root: string): RestartOutcome {
  const host = { files, root };
  return restartContainerd({
    ...processes,
    read: (path) => readHostPath(host, path),
    list: (path) => listHostFolder(host, path) ?? [],
    now: Date.now,
  });
}

function endOfProcess(): AbortSignal {
  const end = new AbortController();
  for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, () => end.abort());
  return end.signal;
}
