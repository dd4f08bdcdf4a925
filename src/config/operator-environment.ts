/** The operator's environment variables (README.md) into typed settings, or one message listing every fault. */
import { hostname } from 'node:os';
import type { OperatorSettings } from '../api/settings.ts';
import { subdomain } from '../api/subdomain.ts';
import type { LogLevel } from '../observe/log.ts';
import { readEgressProxy } from './egress-proxy.ts';
import {
  type Environment,
  matching,
  oneOf,
  readHttpPort,
  readSecondsBetweenStreams,
  text,
} from './environment.ts';
import { type ImageOptions, readImages } from './images.ts';
import { type KubernetesAccess, readKubernetesAccess } from './kubernetes-access.ts';
import { readLogLevel } from './log-level.ts';
import { readMapPart } from './map-environment.ts';
import { Problems } from './problems.ts';
import { readRewriteSettings } from './rewrite-environment.ts';
import { readLabels, readTolerations } from './structured.ts';
import { readWebhookSettings } from './webhook-announcement.ts';

/** Everything the operator's process is told from outside. */
export interface OperatorEnvironment {
  readonly settings: OperatorSettings;
  readonly kubernetes: KubernetesAccess;
  /** Upper bound, in seconds, of the pause before a lost list or watch is tried again. */
  readonly secondsBetweenStreams: number;
  readonly logLevel: LogLevel;
  /** Name of this replica in the Lease: the pod's name where there is one; unique. */
  readonly identity: string;
  /** Name of our pod, where no variable names our image: it is the pod's, and these settings have a stand-in for it. */
  readonly imageOfPod?: string;
  /** Port of `/healthz` and `/readyz`; 0: none. */
  readonly httpPort: number;
  /** Things worth one log line at start: fallbacks, deprecated variables. */
  readonly notices: readonly string[];
}

const objectName = new RegExp(`^${subdomain}$`);

/** Reads all variables; throws `ConfigError` listing every fault. */
export function readOperatorEnvironment(
  env: Environment,
  own: Pick<ImageOptions, 'ownImage'> = {},
): OperatorEnvironment {
  const problems = new Problems();
  const notices: string[] = [];
  const kubernetes = readKubernetesAccess(env);
  const imageOfPod = readImageOfPod(env, kubernetes, problems);
  const result: OperatorEnvironment = {
    settings: readSettings(env, { inCluster: kubernetes.inCluster, ...own }, problems, notices),
    kubernetes,
    secondsBetweenStreams: readSecondsBetweenStreams(env, problems),
    logLevel: readLogLevel(env, problems),
    identity: podName(env, kubernetes) ?? `${hostname()}-${process.pid}`,
    ...(imageOfPod === undefined ? {} : { imageOfPod }),
    httpPort: readHttpPort(env, problems),
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
  options: ImageOptions,
  problems: Problems,
  notices: string[],
): OperatorSettings {
  const certificateSecret = matching(
    env,
    'DOCKER_CERTIFICATE_SECRET',
    objectName,
    'the name of a Secret',
    problems,
  );
  const caCertificateBundle = matching(
    env,
    'CA_CERTIFICATE_BUNDLE',
    objectName,
    'the name of a ConfigMap',
    problems,
  );
  return {
    ...readMapPart(env, problems),
    addressingScheme: oneOf(env, 'ADDRESSING_SCHEME', ['hostess', 'services'], 'hostess', problems),
    ...(certificateSecret === undefined ? {} : { certificateSecret }),
    ...(caCertificateBundle === undefined ? {} : { caCertificateBundle }),
    ...readEgressProxy(env, problems),
    images: readImages(env, options, problems, notices),
    imagePullSecrets: readNames(env, 'IMAGE_PULL_SECRETS', problems),
    labels: readLabels(env, 'SS_DS_LABELS', problems),
    templateLabels: readLabels(env, 'SS_DS_TEMPLATE_LABELS', problems),
    tolerations: readTolerations(env, 'SS_DS_TOLERATIONS', problems),
    nodeTolerations: readTolerations(env, 'DS_TOLERATIONS', problems),
    nodePorts: readNodePorts(env, problems),
    nodePriorityClass:
      matching(env, 'NODE_PRIORITY_CLASS', objectName, 'the name of a PriorityClass', problems) ??
      'system-node-critical',
    nodeDaemonSets: oneOf(env, 'NODE_DAEMONSETS', ['perMirror', 'shared'], 'perMirror', problems),
    requireCredentialsLabel:
      oneOf(env, 'REQUIRE_CREDENTIALS_LABEL', ['false', 'true'], 'false', problems) === 'true',
    ...readRewriting(env, problems),
  };
}

function readRewriting(env: Environment, problems: Problems): Pick<OperatorSettings, 'rewriting'> {
  const engine = text(env, 'REWRITE_ENGINE') ?? 'none';
  if (engine === 'none') return {};
  return {
    rewriting: { rules: readRewriteSettings(env, problems), webhook: readWebhookSettings(env, problems) },
  };
}

/** Below what Linux and Kubernetes hand out by themselves (NodePorts from 30000, outgoing connections from 32768). */
function readNodePorts(env: Environment, problems: Problems): OperatorSettings['nodePorts'] {
  const value = text(env, 'NODE_PORTS') ?? '29000-29999';
  const [, from = '', to = ''] = /^(\d{1,5})-(\d{1,5})$/.exec(value) ?? [];
  const [first, last] = [Number(from), Number(to)];
  if (first < 1024 || last > 65_535 || last <= first)
    problems.add('NODE_PORTS', 'a range of ports above 1023, like 29000-29999', value);
  return { first, last };
}

function readNames(env: Environment, name: string, problems: Problems): string[] {
  const parts = (text(env, name) ?? '').split(',').map((part) => part.trim());
  // A list with a name twice is refused by the API server.
  const names = [...new Set(parts)].filter((part) => part !== '');
  const wrong = names.filter((part) => !objectName.test(part));
  if (wrong.length > 0) problems.add(name, 'comma-separated names of Secrets', wrong.join(','));
  return names;
}

function readImageOfPod(
  env: Environment,
  kubernetes: KubernetesAccess,
  problems: Problems,
): string | undefined {
  if (!kubernetes.inCluster || text(env, 'OPERATOR_IMAGE') !== undefined) return undefined;
  const pod = podName(env, kubernetes);
  if (pod === undefined)
    problems.add('OPERATOR_IMAGE', 'the image of this operator, or in POD_NAME the pod that has it', null);
  return pod;
}

/** A pod's host name is its own; elsewhere two operators may run on one host. */
function podName(env: Environment, { inCluster }: KubernetesAccess): string | undefined {
  return text(env, 'POD_NAME') ?? (inCluster ? text(env, 'HOSTNAME') : undefined);
}
