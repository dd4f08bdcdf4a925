/** What is wrong with credentials that only replicas see: the operator looks at no value of a Secret. Pure. */
import { shortText } from '../polling/words.ts';
import type { Finding } from '../registry-mirror/finding.ts';
import { type ReplicaReport, replicaNames } from './replica-report.ts';

/** Its reasons: what the stored status is known by until a replica was asked again. */
export const replicaCredentialsReasons: readonly string[] = ['CredentialsUnusable', 'TokenServerNotNamed'];

/** `CredentialsValid` where a Secret that has the keys does not help. */
export function replicaCredentials(reports: readonly ReplicaReport[]): Finding | undefined {
  return unusable(reports) ?? withheld(reports);
}

function unusable(reports: readonly ReplicaReport[]): Finding | undefined {
  const unable = reports.filter(({ report }) => report.credentialsUnusable !== undefined);
  const why = [...new Set(unable.map(({ report }) => report.credentialsUnusable))];
  if (why.length === 0) return undefined;
  const message = `${replicaNames(unable)}: ${shortText(why.join('; '))}; what worked before is used until its pod is started anew, else the upstream is asked without credentials`;
  return {
    type: 'CredentialsValid',
    status: 'False',
    reason: 'CredentialsUnusable',
    message,
    warn: 'byReason',
  };
}

/** The upstream sends who asks for a token to a host of another domain. */
function withheld(reports: readonly ReplicaReport[]): Finding | undefined {
  const withholding = reports.filter(({ report }) => report.credentialsWithheld !== undefined);
  const hosts = [...new Set(withholding.map(({ report }) => report.credentialsWithheld))];
  if (hosts.length === 0) return undefined;
  const message = `${replicaNames(withholding)}: the upstream’s token server ${shortText(hosts.join(', '))} is in another domain and is not shown the credentials; name it in spec.tokenHosts if it is to see them`;
  return {
    type: 'CredentialsValid',
    status: 'False',
    reason: 'TokenServerNotNamed',
    message,
    warn: 'byReason',
  };
}
