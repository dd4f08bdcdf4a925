/** Certificates of one mirror: which are given, which leaf is served, what nodes trust. */
import { nodeWiring } from '../../api/nodes.ts';
import { authorityMark } from '../certificates/authority-secret.ts';
import type { FormerAuthorities } from '../certificates/former-authorities.ts';
import { leafNames } from '../certificates/leaf.ts';
import { secretText } from '../certificates/secret-text.ts';
import { splitBundle, trustBundle } from '../certificates/trust-bundle.ts';
import { certificateValid } from './conditions.ts';
import type { CompositionInputs } from './desired.ts';
import type { Finding } from './finding.ts';
import { type GivenInputs, type GivenQuestion, givenInputs } from './given-inputs.ts';
import { type LeafInputs, type LeafQuestion, leafInputs } from './leaf-inputs.ts';

/** What the composition and the status need of certificates. */
export interface TlsInputs {
  readonly composition: Pick<
    CompositionInputs,
    | 'leaf'
    | 'client'
    | 'leafOptions'
    | 'authorityMark'
    | 'authoritySince'
    | 'trustBundle'
    | 'given'
    | 'issuer'
  >;
  readonly finding: Finding;
  /** When to look again, in milliseconds since the epoch. */
  readonly checkAt: number;
}

export type TlsQuestion = GivenQuestion &
  LeafQuestion & {
    readonly clusterIPs: readonly string[];
    /** Of the given certificates; absent: none was exchanged. */
    readonly former?: FormerAuthorities;
  };

/** Reads and judges all certificates; issues a leaf where the live one cannot stay. */
export async function tlsInputs(question: TlsQuestion): Promise<TlsInputs> {
  const { mirror, settings, clusterIPs, authority, now } = question;
  const names = leafNames(mirror, settings.namespace, clusterIPs);
  const given = givenInputs(question, names);
  const own = await leafInputs(question, names);
  const { renewal } = own;
  const trusted = trustBundle(given.trusted, now);
  // Nodes hear within seconds of what cache pods are brought in a minute or two.
  const { authorities = trusted, leftMs = Number.POSITIVE_INFINITY } =
    question.former?.with(trusted, bundled(question, own.trusted), now) ?? {};
  return {
    composition: {
      leaf: own.leaf,
      client: own.client,
      leafOptions: { ...leafOptions(given, own), authorities: trustBundle(own.trusted, now) },
      authorityMark: authorityMark(authority),
      ...(own.authoritySince !== undefined && { authoritySince: own.authoritySince }),
      issuer: given.issuer,
      trustBundle: trustBundle([...own.trusted, authorities], now),
      ...(given.served && { given: given.served }),
    },
    finding: certificateValid({
      given: given.judged,
      names,
      now,
      ...(given.kept && given.served && { keptUntil: given.served.notAfter }),
      ...(given.issuer && { issued: given.wanted }),
      ...(renewal && { renewal }),
      asksClients: nodeWiring(mirror, settings.addressingScheme).clientCertificate,
    }),
    checkAt: Math.min(own.checkAt, given.checkAt, now.getTime() + leftMs),
  };
}

/** What nodes were told last beside our own authorities. PEM. */
function bundled({ live }: TlsQuestion, own: readonly string[]): string[] {
  const ours = own.flatMap(splitBundle);
  return splitBundle(secretText(live.configSecret, 'ca.crt') ?? '').filter((each) => !ours.includes(each));
}

function leafOptions(
  { files }: GivenInputs,
  { renewal }: LeafInputs,
): Omit<CompositionInputs['leafOptions'], 'authorities'> {
  return {
    ...(files && { given: files }),
    ...(renewal?.state === 'behind' && { agentsBehind: renewal.nodes }),
  };
}
