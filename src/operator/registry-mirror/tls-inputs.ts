/** Certificates of one mirror: which are given, which leaf is served, what nodes trust. */
import { issuerName, objectNames } from '../../api/names.ts';
import type { RegistryMirror } from '../../api/registry-mirror.ts';
import type { OperatorSettings } from '../../api/settings.ts';
import type { Logger } from '../../observe/log.ts';
import type { Leaf } from '../../resources/secret.ts';
import type { Authority } from '../certificates/authority-secret.ts';
import { type GivenCertificate, givenAuthority, judgeGiven } from '../certificates/given.ts';
import { leafFault, leafNames, newLeaf, nextLeafCheck, readLeaf } from '../certificates/leaf.ts';
import { secretText } from '../certificates/secret-text.ts';
import { trustBundle } from '../certificates/trust-bundle.ts';
import type { Views } from '../views.ts';
import { givenMount } from './cache-view.ts';
import { certificateValid } from './conditions.ts';
import type { CompositionInputs } from './desired.ts';
import type { Finding } from './finding.ts';
import type { LiveObjects } from './live-objects.ts';
import { wasAppliedByUs } from './managed-fields.ts';

/** What the composition and the status need of certificates. */
export interface TlsInputs {
  readonly composition: Pick<CompositionInputs, 'leaf' | 'trustBundle' | 'given' | 'issuer' | 'keptFiles'>;
  readonly finding: Finding;
  /** When to look again, in milliseconds since the epoch. */
  readonly checkAt: number;
}

export interface TlsQuestion {
  readonly mirror: RegistryMirror;
  readonly settings: OperatorSettings;
  readonly clusterIPs: readonly string[];
  readonly live: LiveObjects;
  readonly views: Views;
  readonly authority: Authority;
  readonly now: Date;
  readonly logger: Logger;
}

/** Reads and judges all certificates; issues a leaf where the live one cannot stay. */
export async function tlsInputs(question: TlsQuestion): Promise<TlsInputs> {
  const { mirror, settings, clusterIPs, live, authority, now } = question;
  const names = leafNames(mirror, settings.namespace, clusterIPs);
  const issuer = hasIssuer(question);
  const given = judgeAll(question, names, issuer);
  const leaf = await leafFor(question, names);
  const served = given.find(({ secret }) => secret === servedSecret(question, issuer));
  const kept = served !== undefined && served.state !== 'usable' ? filesInForce(live) : undefined;
  return {
    composition: {
      leaf,
      issuer,
      trustBundle: bundle(question, leaf, given),
      ...(served && {
        given: { secret: served.secret, names: served.state === 'usable' ? served.names : [] },
      }),
      ...(kept && { keptFiles: kept }),
    },
    finding: certificateValid({
      given,
      names,
      now,
      kept: kept !== undefined,
      ...(issuer && { issued: served?.secret }),
    }),
    checkAt: nextLeafCheck(leaf, authority),
  };
}

function hasIssuer({ settings, views }: TlsQuestion): boolean {
  return views.issuers?.get(`${settings.namespace}/${issuerName}`) !== undefined;
}

/** The Secret beside our leaf in the pods: cert-manager's where it issues, else the user's. */
function servedSecret({ mirror, settings }: TlsQuestion, issuer: boolean): string | undefined {
  return issuer ? objectNames(mirror.metadata.name).certificateSecret : settings.certificateSecret;
}

function givenSecrets(question: TlsQuestion, issuer: boolean): string[] {
  const { certificateSecret } = question.settings;
  const served = servedSecret(question, issuer);
  return [...new Set([served, certificateSecret])].filter((name) => name !== undefined);
}

function judgeAll(question: TlsQuestion, names: readonly string[], issuer: boolean): GivenCertificate[] {
  return givenSecrets(question, issuer).map((secret) =>
    judgeGiven(secret, secretNamed(question, secret), names, question.now),
  );
}

function secretNamed({ views, settings }: TlsQuestion, name: string) {
  return views.secrets.get(`${settings.namespace}/${name}`);
}

async function leafFor(
  { live, authority, now, logger, mirror }: TlsQuestion,
  names: readonly string[],
): Promise<Leaf> {
  const leaf = readLeaf(live.leafSecret);
  const fault = leafFault(leaf, { names, authority, now });
  if (leaf !== undefined && fault === undefined) return leaf;
  logger.info({ mirror: mirror.metadata.name, why: fault }, 'Issued a certificate');
  return newLeaf({ names, authority, now });
}

/** The union: nodes never lose trust in what may still be served, here or by a pod that is behind. */
function bundle(question: TlsQuestion, leaf: Leaf, given: readonly GivenCertificate[]): string {
  const { authority, live, now } = question;
  const ofGiven = given.map(({ secret }) => givenAuthority(secretNamed(question, secret)));
  const kept = given.some(({ state }) => state !== 'usable')
    ? secretText(live.configSecret, 'ca.crt')
    : undefined;
  return trustBundle([authority.certificatePem, leaf.ca, ...authority.previous, ...ofGiven, kept], now);
}

/** The files of the configuration in force, if it is one of ours that serves a given certificate. */
function filesInForce({ configSecret }: LiveObjects): Record<string, string> | undefined {
  if (configSecret === undefined || !wasAppliedByUs(configSecret)) return undefined;
  const files = ['nginx.conf', 'default.conf', 'broker.json'].map(
    (name) => [name, secretText(configSecret, name)] as const,
  );
  const complete = files.every(([, text]) => text !== undefined);
  const servesGiven = files.some(([, text]) => text?.includes(`${givenMount}/`));
  return complete && servesGiven ? (Object.fromEntries(files) as Record<string, string>) : undefined;
}
