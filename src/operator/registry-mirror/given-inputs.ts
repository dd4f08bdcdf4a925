/** Which certificate that is not ours a mirror serves: the given one, or the copy of what was last usable. Pure. */
import { issuerName, objectNames } from '../../api/names.ts';
import type { RegistryMirror } from '../../api/registry-mirror.ts';
import type { OperatorSettings } from '../../api/settings.ts';
import type { GivenFiles } from '../../resources/secret.ts';
import {
  copiedFiles,
  type GivenCertificate,
  givenAuthority,
  givenFiles,
  judgeGiven,
  judgePair,
  type UsableCertificate,
} from '../certificates/given.ts';
import { secretText } from '../certificates/secret-text.ts';
import type { Views } from '../views.ts';
import { givenCertificateFile } from './cache-view.ts';
import type { LiveObjects } from './live-objects.ts';

export interface GivenQuestion {
  readonly mirror: RegistryMirror;
  readonly settings: OperatorSettings;
  readonly live: LiveObjects;
  readonly views: Views;
  readonly now: Date;
}

export interface GivenInputs {
  /** cert-manager's Issuer exists. */
  readonly issuer: boolean;
  /** Every Secret there should be, as it is. */
  readonly judged: readonly GivenCertificate[];
  /** The Secret whose certificate is to be served; it may not be usable. */
  readonly wanted?: string;
  /** What is served. */
  readonly served?: UsableCertificate;
  /** True: what is served is the copy, because the Secret cannot be used. */
  readonly kept: boolean;
  /** What lies beside the leaf. */
  readonly files?: GivenFiles;
  /** What nodes trust for it; PEM texts. */
  readonly trusted: readonly (string | undefined)[];
  /** When to look again, in milliseconds since the epoch. */
  readonly checkAt: number;
}

/** A copy that is no longer served is removed when the pods had time to see that. */
const removalMs = 10_000;

/** Judges the given certificates, and decides what of them is served and copied. */
export function givenInputs(question: GivenQuestion, names: readonly string[]): GivenInputs {
  const { live, settings, now } = question;
  const issuer = hasIssuer(question);
  const wanted = servedSecret(question, issuer);
  const secrets = [...new Set([wanted, settings.certificateSecret])].filter((name) => name !== undefined);
  const judged = secrets.map((secret) => judgeGiven(secret, secretNamed(question, secret), names, now));
  const source = judged.find(({ secret, state }) => secret === wanted && state === 'usable');
  const copy = copiedFiles(live.leafSecret);
  const judgedCopy = wanted && copy ? judgePair(wanted, copy, names, now) : undefined;
  const served = usable(source) ?? usable(judgedCopy);
  const files = source && wanted ? givenFiles(secretNamed(question, wanted)) : copy;
  // Removed only after the configuration that names it: a pod that starts in between finds both.
  const leaving = served === undefined && files !== undefined && isConfigured(live);
  return {
    issuer,
    judged,
    ...(wanted !== undefined && { wanted }),
    ...(served && { served }),
    kept: served !== undefined && source === undefined,
    ...(files && (served || leaving) && { files }),
    trusted: [
      ...secrets.map((secret) => givenAuthority(secretNamed(question, secret))),
      served && files?.authority,
    ],
    checkAt: Math.min(
      leaving ? now.getTime() + removalMs : (served?.notAfter.getTime() ?? Number.POSITIVE_INFINITY),
      ...judged.map(beginOf),
    ),
  };
}

/** When one that is not valid yet can be served, in milliseconds since the epoch. */
function beginOf(given: GivenCertificate): number {
  return given.state === 'usable'
    ? Number.POSITIVE_INFINITY
    : (given.validFrom?.getTime() ?? Number.POSITIVE_INFINITY);
}

function usable(given: GivenCertificate | undefined): UsableCertificate | undefined {
  return given?.state === 'usable' ? given : undefined;
}

function hasIssuer({ settings, views }: GivenQuestion): boolean {
  return views.issuers?.get(`${settings.namespace}/${issuerName}`) !== undefined;
}

/** cert-manager's where it issues, else the user's. */
function servedSecret({ mirror, settings }: GivenQuestion, issuer: boolean): string | undefined {
  return issuer ? objectNames(mirror.metadata.name).certificateSecret : settings.certificateSecret;
}

function secretNamed({ views, settings }: GivenQuestion, name: string) {
  return views.secrets.get(`${settings.namespace}/${name}`);
}

function isConfigured({ configSecret }: LiveObjects): boolean {
  return secretText(configSecret, 'default.conf')?.includes(givenCertificateFile) ?? false;
}
