/** The operator's environment variables (contract/mirror-operator.md section 4) into typed settings, or one message listing every fault. */
import type { Toleration } from '../api/registry-mirror.ts';
import type { OperatorSettings } from '../api/settings.ts';
import { isImageReference, isRegistryHost, withDomain } from '../image/domain.ts';
import type { LogLevel } from '../observe/log.ts';
import { type Environment, matching, oneOf, readLogLevel, text } from './environment.ts';
import { type KubernetesAccess, readKubernetesAccess } from './kubernetes-access.ts';
import { parseLiteral } from './literal.ts';
import { readMapPart } from './map-environment.ts';
import { Problems } from './problems.ts';

/** Everything the operator's process is told from outside. */
export interface OperatorEnvironment {
  readonly settings: OperatorSettings;
  readonly kubernetes: KubernetesAccess;
  /** Upper bound, in seconds, of the pause before a lost list or watch is tried again. */
  readonly secondsBetweenStreams: number;
  readonly logLevel: LogLevel;
  /** Name of this replica in the Lease: the pod's name where there is one. */
  readonly identity: string;
  /** Port of `/healthz`, `/readyz` and `/metrics`; 0: none. */
  readonly httpPort: number;
  /** Things worth one log line at start: fallbacks, deprecated variables. */
  readonly notices: readonly string[];
}

/** Used outside a cluster where nothing names our image. */
export const fallbackImage = 'registry-mirror-operator:0.1.0';

const subdomain = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const labelKey = /^([a-z0-9]([-a-z0-9.]*[a-z0-9])?\/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/;
const labelValue = /^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$/;

/** Reads all variables; throws `ConfigError` listing every fault. */
export function readOperatorEnvironment(env: Environment): OperatorEnvironment {
  const problems = new Problems();
  const notices: string[] = [];
  const kubernetes = readKubernetesAccess(env);
  const result: OperatorEnvironment = {
    settings: readSettings(env, { inCluster: kubernetes.inCluster }, problems, notices),
    kubernetes,
    secondsBetweenStreams: readSeconds(env, problems),
    logLevel: readLogLevel(env, problems),
    identity: text(env, 'POD_NAME') ?? text(env, 'HOSTNAME') ?? `operator-${process.pid}`,
    httpPort: readPort(env, problems),
    notices,
  };
  problems.throwIfAny();
  return result;
}

/** Reads what decides over the objects only, for `render` and the map commands; throws `ConfigError`. */
export function readOperatorSettings(
  env: Environment,
  options: { inCluster: boolean },
): { settings: OperatorSettings; notices: readonly string[] } {
  const problems = new Problems();
  const notices: string[] = [];
  const settings = readSettings(env, options, problems, notices);
  problems.throwIfAny();
  return { settings, notices };
}

function readSettings(
  env: Environment,
  options: { inCluster: boolean },
  problems: Problems,
  notices: string[],
): OperatorSettings {
  const certificateSecret = matching(
    env,
    'DOCKER_CERTIFICATE_SECRET',
    subdomain,
    'the name of a Secret',
    problems,
  );
  const caCertificateBundle = matching(
    env,
    'CA_CERTIFICATE_BUNDLE',
    subdomain,
    'the name of a ConfigMap',
    problems,
  );
  return {
    ...readMapPart(env, problems),
    addressingScheme: oneOf(env, 'ADDRESSING_SCHEME', ['hostess', 'services'], 'hostess', problems),
    ...(certificateSecret === undefined ? {} : { certificateSecret }),
    ...(caCertificateBundle === undefined ? {} : { caCertificateBundle }),
    images: readImages(env, options, problems, notices),
    imagePullSecrets: readNames(env, 'IMAGE_PULL_SECRETS', problems),
    labels: readLabels(env, 'SS_DS_LABELS', problems),
    templateLabels: readLabels(env, 'SS_DS_TEMPLATE_LABELS', problems),
    tolerations: readTolerations(env, 'SS_DS_TOLERATIONS', problems),
    nodeTolerations: readTolerations(env, 'DS_TOLERATIONS', problems),
    requireCredentialsLabel:
      oneOf(env, 'REQUIRE_CREDENTIALS_LABEL', ['false', 'true'], 'false', problems) === 'true',
  };
}

function readImages(
  env: Environment,
  options: { inCluster: boolean },
  problems: Problems,
  notices: string[],
): OperatorSettings['images'] {
  const registry = readRegistry(env, 'DOCKER_REGISTRY', problems);
  const hostessRegistry = readRegistry(env, 'HOSTESS_DOCKER_REGISTRY', problems);
  if (text(env, 'HOSTESS_DOCKER_REGISTRY'))
    notices.push('HOSTESS_DOCKER_REGISTRY is deprecated, use DOCKER_REGISTRY');
  const inRegistry = (image: string, name = registry) =>
    name === undefined ? image : withDomain(image, name);
  const operator = readOwnImage(env, options, problems, notices);
  const nginx = readImage(env, 'NGINX_IMAGE', problems) ?? operator;
  const hostess = readHostessImage(env, problems, notices);
  const own = hostess === undefined || hostess === operator;
  return {
    operator: inRegistry(operator),
    nginx: inRegistry(nginx),
    ...(own ? {} : { hostess: inRegistry(hostess, registry ?? hostessRegistry) }),
  };
}

/** A registry that replaces images' domains; undefined for the default `docker.io`, which replaces nothing. */
function readRegistry(env: Environment, name: string, problems: Problems): string | undefined {
  const value = text(env, name);
  if (value === undefined || value === 'docker.io') return undefined;
  if (!isRegistryHost(value.split('/')[0] ?? '') || !isImageReference(`${value}/image`)) {
    problems.add(name, 'a registry as host[:port], optionally with a path', value);
  }
  return value;
}

function readOwnImage(
  env: Environment,
  options: { inCluster: boolean },
  problems: Problems,
  notices: string[],
): string {
  const image = readImage(env, 'OPERATOR_IMAGE', problems);
  if (image !== undefined) return image;
  if (options.inCluster)
    problems.add('OPERATOR_IMAGE', 'the image of this operator, because its other pods run from it', null);
  else notices.push(`OPERATOR_IMAGE is not set, pods will run from ${fallbackImage}`);
  return fallbackImage;
}

function readHostessImage(env: Environment, problems: Problems, notices: string[]): string | undefined {
  const image = text(env, 'HOSTESS_DOCKER_IMAGE');
  const tag = text(env, 'HOSTESS_DOCKER_TAG');
  if (image === undefined) {
    if (tag !== undefined) notices.push('HOSTESS_DOCKER_TAG is ignored without HOSTESS_DOCKER_IMAGE');
    return undefined;
  }
  const whole = tag === undefined ? image : `${image}:${tag}`;
  if (!isImageReference(whole))
    problems.add('HOSTESS_DOCKER_IMAGE, HOSTESS_DOCKER_TAG', 'an image name and a tag', whole);
  return whole;
}

function readImage(env: Environment, name: string, problems: Problems): string | undefined {
  const value = text(env, name);
  if (value !== undefined && !isImageReference(value)) problems.add(name, 'an image reference', value);
  return value;
}

function readNames(env: Environment, name: string, problems: Problems): string[] {
  const names = (text(env, name) ?? '')
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
  const wrong = names.filter((part) => !subdomain.test(part));
  if (wrong.length > 0) problems.add(name, 'comma-separated names of Secrets', wrong.join(','));
  return names;
}

function readLabels(env: Environment, name: string, problems: Problems): Record<string, string> {
  const value = readLiteral(env, name, problems);
  if (value === undefined || value === null) return {};
  const fits =
    typeof value === 'object' &&
    !Array.isArray(value) &&
    Object.entries(value).every(
      ([key, inner]) => labelKey.test(key) && typeof inner === 'string' && labelValue.test(inner),
    );
  if (fits) return value as Record<string, string>;
  problems.add(name, "labels as {'key': 'value'}", value);
  return {};
}

const tolerationFields: Record<string, (value: unknown) => boolean> = {
  key: (value) => typeof value === 'string',
  operator: (value) => value === 'Exists' || value === 'Equal',
  value: (value) => typeof value === 'string',
  effect: (value) => value === 'NoSchedule' || value === 'PreferNoSchedule' || value === 'NoExecute',
  tolerationSeconds: (value) => Number.isInteger(value),
};

/** A list of tolerations; the Python client's snake_case keys and explicit nulls are understood. */
function readTolerations(env: Environment, name: string, problems: Problems): Toleration[] {
  const value = readLiteral(env, name, problems);
  if (value === undefined || value === null) return [];
  const list = Array.isArray(value) ? value.map(inCamelCase) : [value];
  const fits = list.every(
    (item) =>
      typeof item === 'object' &&
      Object.entries(item ?? {}).every(([key, inner]) => tolerationFields[key]?.(inner) ?? false),
  );
  if (Array.isArray(value) && fits) return list as Toleration[];
  problems.add(
    name,
    "a list of tolerations as [{'key': 'k', 'operator': 'Exists', 'effect': 'NoSchedule'}]",
    value,
  );
  return [];
}

function inCamelCase(item: unknown): unknown {
  if (item === null || typeof item !== 'object' || Array.isArray(item)) return [];
  return Object.fromEntries(
    Object.entries(item)
      .filter(([, value]) => value !== null)
      .map(([key, value]) => [key.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase()), value]),
  );
}

function readLiteral(env: Environment, name: string, problems: Problems): unknown {
  const value = text(env, name);
  if (value === undefined) return undefined;
  try {
    return parseLiteral(value);
  } catch {
    problems.add(name, 'JSON, YAML flow style or a Python literal', value);
    return undefined;
  }
}

function readSeconds(env: Environment, problems: Problems): number {
  const value = Number(text(env, 'SECONDS_BETWEEN_STREAMS') ?? '30');
  if (!(value > 0 && value <= 86_400)) {
    problems.add('SECONDS_BETWEEN_STREAMS', 'a number of seconds above 0', env['SECONDS_BETWEEN_STREAMS']);
  }
  return value;
}

function readPort(env: Environment, problems: Problems): number {
  const value = Number(text(env, 'HTTP_PORT') ?? '8080');
  if (!Number.isInteger(value) || value < 0 || value > 65_535) {
    problems.add('HTTP_PORT', 'a port from 1 to 65535, or 0 for none', env['HTTP_PORT']);
  }
  return value;
}
