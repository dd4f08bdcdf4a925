/** Which credentials Secret the cache pods mount, and what is wrong with the one that is asked for. Pure. */
import { credentialsLabel } from '../../api/names.ts';
import type { RegistryMirror } from '../../api/registry-mirror.ts';
import type { OperatorSettings } from '../../api/settings.ts';
import type { KubeObject } from '../../kube/object.ts';
import { isAdopted } from './adoption.ts';
import type { Finding } from './finding.ts';
import type { LiveStatefulSet } from './live-objects.ts';

/** The decision, and condition `CredentialsValid`. */
export interface CredentialsDecision {
  /** The Secret to mount; undefined: none. */
  readonly mount?: string;
  readonly finding: Finding;
}

export interface CredentialsInputs {
  readonly mirror: RegistryMirror;
  readonly settings: OperatorSettings;
  readonly statefulSet?: LiveStatefulSet;
  /** The Secret named by the mirror; values are not looked at, only whether there are any. */
  readonly secret?: KubeObject;
  /** The Secret that the pods mount, where it is another one. */
  readonly mountedSecret?: KubeObject;
}

/**
 * A Secret that cannot be used never replaces one that can: what the pods mount stays. Where nothing is mounted yet, a
 * missing Secret is mounted all the same (optional), so that its arrival restarts nothing, unless it must carry a label.
 */
export function decideCredentials(inputs: CredentialsInputs): CredentialsDecision {
  const wanted = inputs.mirror.spec.credentialsSecret;
  if (wanted === undefined) {
    return { finding: finding('True', 'Anonymous', 'The upstream is asked without credentials') };
  }
  const mounted = mountedCredentials(inputs.statefulSet);
  const fault = faultOf(inputs, wanted);
  if (fault === undefined) {
    return { mount: wanted, finding: finding('True', 'Valid', `Secret ${wanted} has credentials`) };
  }
  const mount = insteadOf(inputs, wanted, mounted);
  const [reason, message] = fault;
  return {
    ...(mount !== undefined && { mount }),
    finding: { ...finding('False', reason, `${message}${consequence(mounted && mount)}`), warn: true },
  };
}

/**
 * What is mounted although the Secret that is asked for cannot be used. Nothing that must not go to an upstream: who may
 * edit the mirror may have changed where it goes.
 */
function insteadOf(
  inputs: CredentialsInputs,
  wanted: string,
  mounted: string | undefined,
): string | undefined {
  const instead = mounted ?? wanted;
  const secret = instead === wanted ? inputs.secret : inputs.mountedSecret;
  if (isServiceAccountToken(secret)) return undefined;
  if (needsLabel(inputs) && !isLabelled(secret)) return undefined;
  return instead;
}

/** The kinds of Secret the broker reads. */
export function hasCredentials(secret: KubeObject): boolean {
  const data = (secret['data'] ?? {}) as Record<string, string>;
  const has = (key: string) => (data[key] ?? '') !== '';
  return (has('username') && has('password')) || has('.dockerconfigjson') || has('token');
}

function faultOf(
  inputs: CredentialsInputs,
  wanted: string,
): readonly [reason: string, message: string] | undefined {
  const { settings, secret } = inputs;
  const where = `${settings.namespace}/${wanted}`;
  if (secret === undefined) return ['SecretNotFound', `Secret ${where} does not exist`];
  if (isServiceAccountToken(secret)) {
    return [
      'SecretIsServiceAccountToken',
      `Secret ${where} is the token of a service account of this cluster, which no upstream may see; name another Secret`,
    ];
  }
  if (!hasCredentials(secret)) {
    return [
      'SecretWithoutCredentials',
      `Secret ${where} has neither username and password, nor .dockerconfigjson, nor token`,
    ];
  }
  if (!needsLabel(inputs) || isLabelled(secret)) return undefined;
  const label = `${credentialsLabel.key}: "${credentialsLabel.value}"`;
  return [
    'SecretNotLabelled',
    `Secret ${where} lacks the label ${label}, which REQUIRE_CREDENTIALS_LABEL demands`,
  ];
}

/** Its key `token` opens this cluster's API server, not a registry. */
function isServiceAccountToken(secret: KubeObject | undefined): boolean {
  return secret?.['type'] === 'kubernetes.io/service-account-token';
}

/** Not in what was taken over from an installation without this rule: whoever made that mirror had the right to. */
function needsLabel({ settings, statefulSet }: CredentialsInputs): boolean {
  return settings.requireCredentialsLabel && !(statefulSet !== undefined && isAdopted(statefulSet));
}

function isLabelled(secret: KubeObject | undefined): boolean {
  return secret?.metadata.labels?.[credentialsLabel.key] === credentialsLabel.value;
}

/** Name of the credentials Secret in the pods' template. */
export function mountedCredentials(set: LiveStatefulSet | undefined): string | undefined {
  const volumes = set?.spec?.template?.spec?.volumes ?? [];
  return volumes.find(({ name }) => name === 'credentials')?.secret?.secretName;
}

function consequence(mounted: string | undefined): string {
  return mounted === undefined
    ? '; until then the upstream is asked without credentials'
    : '; the last working configuration stays in force';
}

function finding(status: Finding['status'], reason: string, message: string): Finding {
  return { type: 'CredentialsValid', status, reason, message };
}
