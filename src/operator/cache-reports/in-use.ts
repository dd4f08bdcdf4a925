/** Condition `InUse`: whether anybody pulls through a mirror. Pure. */
import type { Finding } from '../registry-mirror/finding.ts';
import { noReport } from './replica-report.ts';

/** What is known of a mirror's use beside what its replicas say. */
export interface NodesUse {
  /** When the forwarder of any node was last used; RFC 3339. */
  readonly lastUsed?: string | undefined;
  /** The mirror's own name where nothing else leads to it, and since when it can be used, in milliseconds since the epoch. */
  readonly alias?: { readonly name: string; readonly since: number } | undefined;
}

/** All of it. */
export interface Use extends NodesUse {
  /** Replicas have told. */
  readonly told: boolean;
  readonly lastPull: string | undefined;
  /** What was served in the last hour, for people. */
  readonly served: string;
}

/** A quiet night is no sign of disuse. */
export const inUseMs = 24 * 3_600_000;

/** What a mirror's use comes to. */
export function inUse({ told, lastPull, lastUsed, served, alias }: Use, now: Date): Finding {
  const type = 'InUse';
  const isRecent = (moment: string | undefined) =>
    moment !== undefined && now.getTime() - Date.parse(moment) < inUseMs;
  if (told && isRecent(lastPull)) {
    const message = `The last pull was at ${lastPull}; ${served} were served in the last hour`;
    return { type, status: 'True', reason: 'Pulled', message };
  }
  if (isRecent(lastUsed)) {
    return { type, status: 'True', reason: 'Used', message: `A node last asked the mirror at ${lastUsed}` };
  }
  if (!told) return { type, ...noReport };
  const neverUsed = lastPull === undefined && lastUsed === undefined;
  if (neverUsed && alias !== undefined && now.getTime() - alias.since >= inUseMs) {
    const message = `Nothing was pulled since the mirror was ready: no image reference names ${alias.name}; spec.nodes.wire: transparent needs no change of workloads`;
    return { type, status: 'False', reason: 'AliasUnused', message };
  }
  const last = lastPull === undefined ? '' : `; the last pull was at ${lastPull}`;
  const message = `Nothing was pulled through the mirror in the last day${last}`;
  return { type, status: 'False', reason: 'NotUsed', message };
}
