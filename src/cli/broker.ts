/** `broker`: composition root of the miss path. */
import { Command } from 'commander';
import { runBroker } from '../cache/broker/broker.ts';
import { createLogger } from '../observe/log.ts';

interface BrokerFlags {
  readonly config: string;
  readonly drainSeconds: number;
}

/** Returns the command; it runs until SIGTERM or SIGINT and then ends by itself. */
export function brokerCommand(): Command {
  return new Command('broker')
    .description('Answers what nginx does not have, over a unix socket. Follows its files without a restart.')
    .requiredOption('--config <file>', 'broker.json')
    .option('--drain-seconds <n>', 'how long running requests may take to end', parseSeconds, 20)
    .action(run);
}

async function run(flags: BrokerFlags): Promise<void> {
  const stop = new AbortController();
  for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, () => stop.abort());
  const log = createLogger();
  await runBroker({ configFile: flags.config, log, drainMs: flags.drainSeconds * 1000 }, stop.signal);
}

function parseSeconds(value: string): number {
  const seconds = Number(value);
  if (!Number.isFinite(seconds) || seconds < 0) throw new TypeError('--drain-seconds: expected a number');
  return seconds;
}
