/** Which credentials Secrets the cache pods mount, and what is wrong with those that are asked for. Pure. */
import { accessOf, credentialSecrets } from '../../api/access.ts';
import { credentialsLabel } from '../../api/names.ts';
import { nodeWiring } from '../../api/nodes.ts';
import type { RegistryMirror } from '../../api/registry-mirror.ts';
import type { OperatorSettings } from '../../api/settings.ts';
import type { KubeObject } from '../../kube/object.ts';
import { isAdopted } from './adoption.ts';
import type { Finding } from './finding.ts';
import type { LiveStatefulSet } from './live-objects.ts';

/** A Secret for the repositories below a prefix. */
export interface CredentialsEntry {
  readonly prefix: string;
  readonly secret: string;
}

/** The decision, and condition `CredentialsValid`. */
export interface CredentialsDecision {
  /** What to mount, by prefix. */
  readonly mount: readonly CredentialsEntry[];
  readonly finding: Finding;
}

export interface CredentialsInputs {
  readonly mirror: RegistryMirror;
  readonly settings: OperatorSettings;
  readonly statefulSet?: LiveStatefulSet;
  /** What the pods use now, for this registry. */
  readonly mounted: readonly CredentialsEntry[];
  /** A Secret by name; values are not looked at, only whether there are any. */
  readonly find: (secret: string) => KubeObject | undefined;
}

/** Told whoever never chose that everybody may read what the Secrets can read. */
export const sharedByDefault =
  'spec.access is not set and is shared by default: whoever reaches the mirror may read everything that its credentials can read; set spec.access: shared if that is meant';

/** What is wrong with one Secret that is asked for. */
interface Fault {
  readonly reason: string;
  readonly message: string;
}

/**
 * A Secret that cannot be used never replaces one that can: what the pods mount for its prefix stays. Where nothing is mounted yet, a
 * missing Secret is mounted all the same (optional), so that its arrival restarts nothing, unless it must carry a label. The same where they
 * are mounted for another registry.
 */
export function decideCredentials(inputs: CredentialsInputs): CredentialsDecision {
  const wanted = credentialSecrets(inputs.mirror);
  if (wanted.length === 0) {
    const message = 'The upstream is asked without credentials';
    return { mount: [], finding: finding('True', 'Anonymous', message) };
  }
  const decided = wanted.map((entry) => decide(inputs, entry));
  const mount = decided.flatMap((one) => one.mount ?? []);
  const faults = decided.flatMap(({ fault }) => fault ?? []);
  const [first] = faults;
  if (first === undefined) return { mount, finding: valid(inputs.mirror, wanted) };
  const message = [...new Set(faults.map((fault) => fault.message))].join('. ');
  return { mount, finding: { ...finding('False', first.reason, message), warn: true } };
}

/**
 * The mirror as the pods are to see it: with credentials that can be mounted, and open to the same clients, by defaults that go by those that are
 * asked for. What was cached with credentials that are withdrawn is still there.
 */
export function withCredentials(
  mirror: RegistryMirror,
  { mount }: CredentialsDecision,
  { addressingScheme }: Pick<OperatorSettings, 'addressingScheme'>,
): RegistryMirror {
  const { credentialsSecret: _one, ...spec } = mirror.spec;
  const { clientCertificate } = nodeWiring(mirror, addressingScheme);
  const nodes = { ...spec.nodes, clientCertificate };
  return { ...mirror, spec: { ...spec, nodes, credentials: [...mount], access: accessOf(mirror) } };
}

function decide(
  inputs: CredentialsInputs,
  entry: CredentialsEntry,
): { readonly mount?: CredentialsEntry; readonly fault?: Fault } {
  const fault = faultOf(inputs, entry.secret);
  if (fault === undefined) return { mount: entry };
  const mounted = inputs.mounted.find(({ prefix }) => prefix === entry.prefix)?.secret;
  const instead = mounted ?? entry.secret;
  const isAllowed = mayBeSent(inputs, instead);
  const message = `${fault.message}; ${consequence(entry, isAllowed, mounted)}`;
  return {
    ...(isAllowed && { mount: { ...entry, secret: instead } }),
    fault: { ...fault, message },
  };
}

/** Who may edit the mirror may have changed where it goes, so of what is mounted already, too. */
function mayBeSent(inputs: CredentialsInputs, name: string): boolean {
  const secret = inputs.find(name);
  return !isServiceAccountToken(secret) && !(needsLabel(inputs) && !isLabelled(secret));
}

function valid({ spec }: RegistryMirror, wanted: readonly CredentialsEntry[]): Finding {
  const names = [...new Set(wanted.map(({ secret }) => secret))];
  const have = names.length === 1 ? `Secret ${names[0]} has` : `Secrets ${names.join(', ')} have`;
  if (spec.access !== undefined) return finding('True', 'Valid', `${have} credentials`);
  const found = finding('True', 'SharedByDefault', `${have} credentials; ${sharedByDefault}`);
  return { ...found, warn: 'once' };
}

/** The kinds of Secret the broker reads. */
export function hasCredentials(secret: KubeObject): boolean {
  const data = (secret['data'] ?? {}) as Record<string, string>;
  const has = (key: string) => (data[key] ?? '') !== '';
  return (has('username') && has('password')) || has('.dockerconfigjson') || has('token');
}

function faultOf(inputs: CredentialsInputs, wanted: string): Fault | undefined {
  const secret = inputs.find(wanted);
  const where = `Secret ${inputs.settings.namespace}/${wanted}`;
  if (secret === undefined) return { reason: 'SecretNotFound', message: `${where} does not exist` };
  if (isServiceAccountToken(secret)) {
    const message = `${where} is the token of a service account of this cluster, which no upstream may see; name another Secret`;
    return { reason: 'SecretIsServiceAccountToken', message };
  }
  if (!hasCredentials(secret)) {
    const message = `${where} has neither username and password, nor .dockerconfigjson, nor token`;
    return { reason: 'SecretWithoutCredentials', message };
  }
  if (!needsLabel(inputs) || isLabelled(secret)) return undefined;
  const label = `${credentialsLabel.key}: "${credentialsLabel.value}"`;
  const message = `${where} lacks the label ${label}, which REQUIRE_CREDENTIALS_LABEL demands`;
  return { reason: 'SecretNotLabelled', message };
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

/** An entry that is mounted has its prefix for itself, also while there is nothing in it. */
function consequence({ prefix }: CredentialsEntry, isMounted: boolean, mounted: string | undefined): string {
  if (isMounted && mounted !== undefined) return 'the last working configuration stays in force';
  if (prefix === '') return 'until then the upstream is asked without credentials';
  const others = isMounted
    ? 'without credentials'
    : 'as if it had no entry: by the next shorter prefix, if any';
  return `until then repositories below ${prefix} are asked for ${others}`;
}

function finding(status: Finding['status'], reason: string, message: string): Finding {
  return { type: 'CredentialsValid', status, reason, message };
}
