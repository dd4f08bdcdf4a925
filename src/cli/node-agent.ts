/** `node-agent`: keeps one node wired to one mirror or takes that back; `restore --all`: takes back every mirror's, without a cluster. */
import * as files from 'node:fs';
import { Command, Option } from 'commander';
import { readNodeAgentEnvironment } from '../config/node-agent-environment.ts';
import { logResults, runAgent, runOnce } from '../node/agent.ts';
import { acquireLock } from '../node/lock.ts';
import { type NodePlaces, type PassTools, restoreMirrors } from '../node/pass.ts';
import { sendSignal } from '../node/signal.ts';
import { createLogger } from '../observe/log.ts';

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
    .description('wire this node to a mirror and keep it wired, or take that back')
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
    .option('--lock-file <path>', "the agents' lock on the node", '/var/lock/mirror-hostess')
    .action(restoreAll);
}

async function nodeAgent(flags: NodeAgentFlags): Promise<void> {
  const { agent, logLevel } = readNodeAgentEnvironment(undefined, flags.mode);
  const log = createLogger({ level: logLevel }).child({ mirror: agent.mirror });
  const signal = endOfProcess();
  const tools = toolsFor(signal);
  if (flags.once !== true) return runAgent(agent, tools, log, signal);
  if (!(await runOnce(agent, tools, log))) process.exitCode = 1;
}

async function restoreAll(flags: RestoreFlags): Promise<void> {
  const log = createLogger();
  const places: NodePlaces = {
    hostRoot: flags.hostRoot,
    stateFolder: flags.stateDir,
    hostsFile: flags.hostsFile,
    hostsBackup: `${flags.hostsFile}.backup`,
    lockFile: flags.lockFile,
  };
  const report = await restoreMirrors(places, toolsFor(endOfProcess()), () => true);
  logResults(report, log);
  for (const finding of report.findings) log.warn({ ...finding }, 'Node finding');
  if (!report.complete) process.exitCode = 1;
}

function toolsFor(signal: AbortSignal): PassTools {
  const processes = { files, procFolder: '/proc', kill: process.kill.bind(process), uid: 0 };
  return {
    files,
    lock: (path) => acquireLock(path, lockWaitSeconds, signal),
    signal: (name, what) => sendSignal(name, what, processes),
  };
}

function endOfProcess(): AbortSignal {
  const end = new AbortController();
  for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, () => end.abort());
  return end.signal;
}
