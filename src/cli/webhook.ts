/** `webhook`: composition root of the process that answers the API server's reviews; ends in good order on SIGTERM. */
import { Command } from 'commander';
import { Webhook } from '../admission/webhook.ts';
import { processEnvironment } from '../config/environment.ts';
import { readWebhookEnvironment } from '../config/webhook-environment.ts';
import { createClient } from '../kube/client.ts';
import { loadConnection } from '../kube/connection.ts';
import { createLogger } from '../observe/log.ts';

/** Returns the command; it runs until SIGTERM or SIGINT, and throws `ConfigError` for a faulty environment. */
export function webhookCommand(): Command {
  return new Command('webhook')
    .description('Rewrites the images of pods when the API server asks. Configured by environment variables.')
    .action(run);
}

async function run(): Promise<void> {
  const environment = readWebhookEnvironment(processEnvironment());
  const { settings, port, httpPort, certificateFolder } = environment;
  const logger = createLogger({ level: environment.logLevel });
  const connection = await loadConnection(environment.kubernetes);
  const client = createClient(connection, { userAgent: 'registry-mirror-webhook', logger });
  const webhook = new Webhook({
    client,
    settings,
    maxPauseMs: environment.secondsBetweenStreams * 1000,
    port,
    httpPort,
    certificateFolder,
    drainMs: environment.drainSeconds * 1000,
    logger,
  });
  const stop = new AbortController();
  for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, () => stop.abort());
  logger.info({ port, httpPort, certificateFolder }, 'Started');
  try {
    await webhook.run(stop.signal);
  } finally {
    await client.close();
  }
  logger.info('Stopped');
}
