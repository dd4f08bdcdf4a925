/** The webhook's environment variables (docs/webhook.md) into typed settings, or one message listing every fault. */
import type { RewriteSettings } from '../api/rewrite-settings.ts';
import type { LogLevel } from '../observe/log.ts';
import { type Environment, readHttpPort, readSecondsBetweenStreams, text } from './environment.ts';
import { type KubernetesAccess, readKubernetesAccess } from './kubernetes-access.ts';
import { readLogLevel } from './log-level.ts';
import { Problems } from './problems.ts';
import { readRewriteSettings } from './rewrite-environment.ts';

/** Everything the webhook's process is told from outside. */
export interface WebhookEnvironment {
  readonly settings: RewriteSettings;
  readonly kubernetes: KubernetesAccess;
  /** Upper bound, in seconds, of the pause before a lost list or watch is tried again. */
  readonly secondsBetweenStreams: number;
  readonly logLevel: LogLevel;
  /** Of reviews, over TLS. */
  readonly port: number;
  /** Of `/healthz`, `/readyz`, `/metrics`; 0: none. */
  readonly httpPort: number;
  readonly certificateFolder: string;
  /** How long it goes on answering when it is to end. Seconds. */
  readonly drainSeconds: number;
}

/** Reads all variables; throws `ConfigError` listing every fault. */
export function readWebhookEnvironment(env: Environment): WebhookEnvironment {
  const problems = new Problems();
  const result: WebhookEnvironment = {
    settings: readRewriteSettings(env, problems),
    kubernetes: readKubernetesAccess(env),
    secondsBetweenStreams: readSecondsBetweenStreams(env, problems),
    logLevel: readLogLevel(env, problems),
    port: readPort(env, problems),
    httpPort: readHttpPort(env, problems),
    certificateFolder: readFolder(env, problems),
    drainSeconds: readDrainSeconds(env, problems),
  };
  problems.throwIfAny();
  return result;
}

function readPort(env: Environment, problems: Problems): number {
  const value = Number(text(env, 'WEBHOOK_PORT') ?? '8443');
  if (!Number.isInteger(value) || value < 1 || value > 65_535)
    problems.add('WEBHOOK_PORT', 'a port from 1 to 65535', env['WEBHOOK_PORT']);
  return value;
}

function readFolder(env: Environment, problems: Problems): string {
  const folder = text(env, 'WEBHOOK_CERTIFICATE_DIR') ?? '/etc/registry-mirror-webhook/tls';
  if (!folder.startsWith('/')) problems.add('WEBHOOK_CERTIFICATE_DIR', 'an absolute path', folder);
  return folder;
}

function readDrainSeconds(env: Environment, problems: Problems): number {
  const value = Number(text(env, 'WEBHOOK_DRAIN_SECONDS') ?? '5');
  if (!(value >= 0 && value <= 300))
    problems.add('WEBHOOK_DRAIN_SECONDS', 'a number of seconds from 0 to 300', env['WEBHOOK_DRAIN_SECONDS']);
  return value;
}
