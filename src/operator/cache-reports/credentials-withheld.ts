/** Credentials that the upstream's token server is not shown, from what the replicas say. Pure. */
import { shortText } from '../polling/words.ts';
import type { Finding } from '../registry-mirror/finding.ts';
import { type ReplicaReport, replicaNames } from './replica-report.ts';

/** Its reason: what the stored status is known by until a replica was asked again. */
export const withheldReason = 'TokenServerNotNamed';

/** `CredentialsValid` where a Secret that is well does not help: the upstream sends who asks for a token to a host of another domain. */
export function credentialsWithheld(reports: readonly ReplicaReport[]): Finding | undefined {
  const withholding = reports.filter(({ report }) => report.credentialsWithheld !== undefined);
  const hosts = [...new Set(withholding.map(({ report }) => report.credentialsWithheld))];
  if (hosts.length === 0) return undefined;
  const message = `${replicaNames(withholding)}: the upstream’s token server ${shortText(hosts.join(', '))} is in another domain and is not shown the credentials; name it in spec.tokenHosts if it is to see them`;
  return { type: 'CredentialsValid', status: 'False', reason: withheldReason, message, warn: 'byReason' };
}
