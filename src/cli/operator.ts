/** The operator's process: reads the environment, wires the parts, ends in good order on SIGTERM. */
import type { OperatorSettings } from '../api/settings.ts';
import { processEnvironment } from '../config/environment.ts';
import { readBuiltAs } from '../config/images.ts';
import { type OperatorEnvironment, readOperatorEnvironment } from '../config/operator-environment.ts';
import { createClient } from '../kube/client.ts';
import { loadConnection } from '../kube/connection.ts';
import { createLogger } from '../observe/log.ts';
import { servePages } from '../observe/pages.ts';
import { Operator } from '../operator/operator.ts';
import { type OwnImageOptions, readOwnImage } from './own-image.ts';

/** Runs until SIGTERM or SIGINT; throws `ConfigError` for a faulty environment. */
export async function runOperator(): Promise<void> {
  const environment = readOperatorEnvironment(processEnvironment());
  const { identity, secondsBetweenStreams } = environment;
  const logger = createLogger({ level: environment.logLevel });
  for (const notice of environment.notices) logger.warn({ notice }, 'Configuration notice');
  const connection = await loadConnection(environment.kubernetes);
  const client = createClient(connection, { userAgent: 'registry-mirror-operator', logger });
  let operator: Operator | undefined;
  const pages = await servePages(environment.httpPort, {
    ready: () => operator?.ready ?? false,
    metrics: async () => operator?.metrics() ?? noMetrics,
  });
  const stop = new AbortController();
  for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, () => stop.abort());
  try {
    const maxPauseMs = secondsBetweenStreams * 1000;
    const options = { client, maxPauseMs, logger, signal: stop.signal };
    const settings = await wholeSettings(environment, connection.namespace, options);
    if (settings !== undefined) {
      operator = new Operator({ client, settings, identity, secondsBetweenStreams, logger });
      logger.info({ namespace: settings.namespace, scheme: settings.addressingScheme }, 'Started');
      await operator.run(stop.signal);
    }
  } finally {
    pages.close();
    await client.close();
  }
  logger.info('Stopped');
}

/** Of an operator that does not know yet from what it makes pods. */
const noMetrics = { type: 'text/plain', text: '' };

/** Undefined: it was stopped before that was read. */
async function wholeSettings(
  { settings, imageOfPod }: OperatorEnvironment,
  ownNamespace: string | undefined,
  options: OwnImageOptions,
): Promise<OperatorSettings | undefined> {
  if (imageOfPod === undefined) return settings;
  const pod = { namespace: ownNamespace ?? settings.namespace, name: imageOfPod };
  const ownImage = await readOwnImage(pod, { ...options, builtAs: readBuiltAs(processEnvironment()) });
  if (ownImage === undefined) return undefined;
  options.logger.info({ image: ownImage, pod }, 'Read the image of our pods from our own');
  return readOperatorEnvironment(processEnvironment(), { ownImage }).settings;
}
