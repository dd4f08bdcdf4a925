/** `broker`: composition root of the miss path: a supervisor and its processes, and in a pod what reloads the nginx beside it. */
import { fork } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname, join } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import { superviseBroker } from '../cache/broker/processes/supervisor.ts';
import { createLogger, type Logger } from '../observe/log.ts';

/** Our own, who else has one of it, and, where the user gave one, a copy of theirs. */
const certificateFiles = ['tls.crt', 'tls.key', 'peer-ca.crt', 'given.crt', 'given.key'];

interface BrokerFlags {
  readonly config: string;
  readonly replica: string;
  readonly drainSeconds: number;
  readonly reloadNginx?: string;
  readonly certificates: readonly string[];
  readonly worker?: number;
}

/** Returns the command; it runs until SIGTERM or SIGINT and then ends by itself. */
export function brokerCommand(): Command {
  return new Command('broker')
    .description('Answers what nginx does not have, over unix sockets. Follows its files without a restart.')
    .requiredOption('--config <file>', 'broker.json')
    .option('--replica <name>', 'which of the replicas this is', hostname())
    .option('--drain-seconds <n>', 'how long running requests may take to end', parseSeconds, 20)
    .option('--reload-nginx <file>', 'nginx.conf of the nginx to reload when its configuration changes')
    .option('--certificates <folder...>', 'folders of certificates that it is reloaded for too', [])
    .addOption(
      new Option('--worker <index>', 'one of the processes; started by the others')
        .argParser(Number)
        .hideHelp(),
    )
    .action(run);
}

async function run(flags: BrokerFlags): Promise<void> {
  const stop = new AbortController();
  for (const name of ['SIGTERM', 'SIGINT'] as const) process.on(name, () => stop.abort());
  const log = createLogger();
  if (flags.worker === undefined) await supervise(flags, log, stop.signal);
  else await work(flags, flags.worker, log, stop);
}

/** The supervisor loads nothing that a broker needs: it stays small. */
async function supervise(flags: BrokerFlags, log: Logger, signal: AbortSignal): Promise<void> {
  const mainFile = process.argv[1];
  if (mainFile === undefined) throw new Error('The program does not know its own path');
  const args = process.argv.slice(2);
  const start = (index: number) =>
    fork(mainFile, [...args, '--worker', String(index)], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  let known: readonly string[] = [];
  const sockets = async () => {
    known = await readSockets(flags.config, known);
    return known;
  };
  await superviseBroker({ sockets, start, log }, signal);
}

/** What cannot be read leaves what was; at the start every fault of the file is told. */
async function readSockets(file: string, before: readonly string[]): Promise<readonly string[]> {
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    if (before.length > 0) return '';
    throw error;
  });
  const sockets = socketsIn(text);
  if (sockets !== undefined || before.length > 0) return sockets ?? before;
  const { parseBrokerConfig } = await import('../cache/broker/broker-config.ts');
  return parseBrokerConfig(text).sockets;
}

function socketsIn(text: string): readonly string[] | undefined {
  try {
    const { sockets }: { sockets?: unknown } = JSON.parse(text);
    const isList = Array.isArray(sockets) && sockets.every((path) => typeof path === 'string');
    return isList && sockets.length > 0 ? sockets : undefined;
  } catch {
    return undefined;
  }
}

/** A worker without its supervisor would never be asked again. */
async function work(flags: BrokerFlags, index: number, log: Logger, stop: AbortController): Promise<void> {
  const [{ runBroker }, { serveSupervised }] = await Promise.all([
    import('../cache/broker/broker.ts'),
    import('../cache/broker/processes/worker.ts'),
  ]);
  process.once('disconnect', () => stop.abort());
  const broker = {
    configFile: flags.config,
    replica: flags.replica,
    index,
    serve: serveSupervised,
    log,
    drainMs: flags.drainSeconds * 1000,
  };
  const parts = [runBroker(broker, stop.signal), ...(index === 0 ? [reload(flags, log, stop.signal)] : [])];
  // Neither is of use alone: a process that ends is started again.
  const endBoth = (error: unknown) => {
    stop.abort();
    throw error;
  };
  try {
    await Promise.all(parts.map((part) => part.catch(endBoth)));
  } finally {
    // The channel would keep a process that has failed from ending.
    if (process.connected) process.disconnect?.();
  }
}

async function reload(flags: BrokerFlags, log: Logger, signal: AbortSignal): Promise<void> {
  const confFile = flags.reloadNginx;
  if (confFile === undefined) return;
  const [{ parseBrokerConfig }, { reloadOnChange }] = await Promise.all([
    import('../cache/broker/broker-config.ts'),
    import('../cache/reload.ts'),
  ]);
  const { nginxPidFile: pidFile } = parseBrokerConfig(await readFile(flags.config, 'utf8'));
  const pairs = flags.certificates.flatMap((folder) => certificateFiles.map((name) => join(folder, name)));
  const files = [confFile, join(dirname(confFile), 'default.conf'), ...pairs];
  await reloadOnChange({ confFile, pidFile, files, log, signal });
}

function parseSeconds(value: string): number {
  const seconds = Number(value);
  if (value.trim() === '' || !Number.isFinite(seconds) || seconds < 0) {
    throw new InvalidArgumentError('expected seconds, 0 or more');
  }
  return seconds;
}
