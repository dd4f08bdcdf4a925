/** `broker`: composition root of the miss path and, in a pod, of what reloads the nginx beside it. */
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import { runBroker } from '../cache/broker/broker.ts';
import { parseBrokerConfig } from '../cache/broker/broker-config.ts';
import { reloadOnChange } from '../cache/reload.ts';
import { createLogger, type Logger } from '../observe/log.ts';

/** Our own and, where the user gave one, a copy of theirs. */
const certificateFiles = ['tls.crt', 'tls.key', 'given.crt', 'given.key'];

interface BrokerFlags {
  readonly config: string;
  readonly drainSeconds: number;
  readonly reloadNginx?: string;
  readonly certificates: readonly string[];
}

/** Returns the command; it runs until SIGTERM or SIGINT and then ends by itself. */
export function brokerCommand(): Command {
  return new Command('broker')
    .description('Answers what nginx does not have, over a unix socket. Follows its files without a restart.')
    .requiredOption('--config <file>', 'broker.json')
    .option('--drain-seconds <n>', 'how long running requests may take to end', parseSeconds, 20)
    .option('--reload-nginx <file>', 'nginx.conf of the nginx to reload when its configuration changes')
    .option('--certificates <folder...>', 'folders of certificates that it is reloaded for too', [])
    .action(run);
}

async function run(flags: BrokerFlags): Promise<void> {
  const stop = new AbortController();
  for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, () => stop.abort());
  const log = createLogger();
  const broker = { configFile: flags.config, log, drainMs: flags.drainSeconds * 1000 };
  const parts = [runBroker(broker, stop.signal), reload(flags, log, stop.signal)];
  // Neither is of use alone: a container that ends is started again.
  const endBoth = (error: unknown) => {
    stop.abort();
    throw error;
  };
  await Promise.all(parts.map((part) => part.catch(endBoth)));
}

async function reload(flags: BrokerFlags, log: Logger, signal: AbortSignal): Promise<void> {
  const confFile = flags.reloadNginx;
  if (confFile === undefined) return;
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
