/** Everything one pass works from, as a snapshot: the composition's inputs and what was found while making it. */
import { parseUpstream } from '../../api/upstream.ts';
import { type ClaimPlan, planClaims, withStorage } from './claims.ts';
import { type CredentialsDecision, decideCredentials, withCredentials } from './credentials.ts';
import type { CompositionInputs } from './desired.ts';
import type { Finding } from './finding.ts';
import { mountedCredentials } from './mounted-credentials.ts';
import { type TlsQuestion, tlsInputs } from './tls-inputs.ts';

export interface MirrorInputs {
  readonly composition: CompositionInputs;
  readonly claims: ClaimPlan;
  readonly findings: readonly Finding[];
  /** When to look again, in milliseconds since the epoch. */
  readonly checkAt: number;
}

/** Reads the views, and makes a leaf where one is needed; no request but to name nodes that are late. The Services and the authority are there already. */
export async function gatherInputs(
  question: TlsQuestion & Pick<CompositionInputs, 'nodePort'>,
): Promise<MirrorInputs> {
  const { mirror, settings, clusterIPs, nodePort, live } = question;
  const tls = await tlsInputs(question);
  const credentials = credentialsOf(question);
  const claims = planClaims(mirror, live);
  const composition = {
    mirror: withCredentials(withStorage(mirror, claims.storage), credentials, settings),
    settings,
    clusterIPs,
    ...(nodePort !== undefined && { nodePort }),
    ...tls.composition,
    volumeClaimTemplates: claims.templates,
  };
  return { composition, claims, findings: [credentials.finding, tls.finding], checkAt: tls.checkAt };
}

function credentialsOf({ mirror, settings, views, live }: TlsQuestion): CredentialsDecision {
  const { statefulSet } = live;
  return decideCredentials({
    mirror,
    settings,
    ...(statefulSet && { statefulSet }),
    mounted: mountedCredentials(statefulSet, parseUpstream(mirror.spec.upstreamUrl).host),
    find: (secret) => views.secrets.get(`${settings.namespace}/${secret}`),
  });
}
