/** The operator's process: reads the environment, wires the parts, ends in good order on SIGTERM. */
import { processEnvironment } from '../config/environment.ts';
import { readOperatorEnvironment } from '../config/operator-environment.ts';
import { createClient } from '../kube/client.ts';
import { loadConnection } from '../kube/connection.ts';
import { createLogger } from '../observe/log.ts';
import { servePages } from '../observe/pages.ts';
import { Operator } from '../operator/operator.ts';

/** Runs until SIGTERM or SIGINT; throws `ConfigError` for a faulty environment. */
export async function runOperator(): Promise<void> {
  const environment = readOperatorEnvironment(processEnvironment());
  const { settings, identity, secondsBetweenStreams } = environment;
  const logger = createLogger({ level: environment.logLevel });
  for (const notice of environment.notices) logger.warn({ notice }, 'Configuration notice');
  const connection = await loadConnection(environment.kubernetes);
  const client = createClient(connection, { userAgent: 'registry-mirror-operator', logger });
  const operator = new Operator({ client, settings, identity, secondsBetweenStreams, logger });
  const pages = await servePages(environment.httpPort, {
    ready: () => operator.ready,
    metrics: () => operator.metrics(),
  });
  const stop = new AbortController();
  for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, () => stop.abort());
  logger.info({ namespace: settings.namespace, scheme: settings.addressingScheme }, 'Started');
  try {
    await operator.run(stop.signal);
  } finally {
    pages.close();
    await client.close();
  }
  logger.info('Stopped');
}
