/** The certificate of our own authority that a mirror serves: which names it needs, when it is made anew. */
import { objectNames, serviceDnsNames } from '../../api/names.ts';
import type { RegistryMirror } from '../../api/registry-mirror.ts';
import { defaultMasquerade, parseUpstream, splitHostPort } from '../../api/upstream.ts';
import { issueLeaf } from '../../cache/tls/authority.ts';
import { inspectCertificate, signedBy } from '../../cache/tls/certificate.ts';
import type { KubeObject } from '../../kube/object.ts';
import type { Leaf } from '../../resources/secret.ts';
import { type Authority, renewalTime } from './authority-secret.ts';
import { keyMatches } from './key-pair.ts';
import { secretText } from './secret-text.ts';

/** A year; renewed when two thirds are over. Renewal restarts nothing. */
const validDays = 365;
/** How long a new authority is only trusted before it signs: kubelet and agents follow a Secret within minutes. */
export const spreadMs = 60 * 60_000;

/** Every name under which the mirror may be dialled: M, U, S and the Services' DNS names (contract/addressing.md section 4). */
export function leafNames(
  mirror: RegistryMirror,
  namespace: string,
  clusterIPs: readonly string[],
): string[] {
  const { spec, metadata } = mirror;
  const masquerade = spec.masqueradeUrl ?? defaultMasquerade(spec.upstreamUrl);
  const dialled = [masquerade, ...parseUpstream(spec.upstreamUrl).names].map(bareHost);
  const headless = `${objectNames(metadata.name).headlessService}.${namespace}.svc`;
  const replicas = [`*.${headless}`, `*.${headless}.cluster.local`];
  return [...new Set([...dialled, ...clusterIPs, ...serviceDnsNames(metadata.name, namespace), ...replicas])];
}

/** Reads the leaf's Secret; undefined when something of it is missing. */
export function readLeaf(secret: KubeObject | undefined): Leaf | undefined {
  const certificate = secretText(secret, 'tls.crt');
  const key = secretText(secret, 'tls.key');
  const ca = secretText(secret, 'ca.crt');
  return certificate === undefined || key === undefined || ca === undefined
    ? undefined
    : { certificate, key, ca };
}

/** Ordered checks; the first that finds something says why the leaf must be made anew. */
const checks: readonly ((leaf: Leaf, wanted: Wanted) => string | undefined)[] = [
  function unusable(leaf) {
    return keyMatches(leaf.certificate, leaf.key) ? undefined : 'its key does not belong to it';
  },
  function otherNames(leaf, { names }) {
    const has = new Set(inspectCertificate(leaf.certificate).names);
    const same = has.size === names.length && names.every((name) => has.has(comparable(name)));
    return same ? undefined : 'the names of the mirror changed';
  },
  function old(leaf, { now }) {
    return renewalTime(leaf.certificate) <= now.getTime() ? 'two thirds of its life are over' : undefined;
  },
  function otherAuthority(leaf, { authority, now }) {
    if (signedBy(leaf.certificate, authority.certificatePem)) return undefined;
    return leafChangeTime(authority) <= now.getTime() ? 'the authority was renewed' : undefined;
  },
];

/** What a leaf has to be. */
export interface Wanted {
  readonly names: readonly string[];
  readonly authority: Authority;
  readonly now: Date;
}

/** Says why `leaf` cannot stay; undefined: it stays. */
export function leafFault(leaf: Leaf | undefined, wanted: Wanted): string | undefined {
  if (leaf === undefined) return 'there is none';
  try {
    for (const check of checks) {
      const fault = check(leaf, wanted);
      if (fault !== undefined) return fault;
    }
    return undefined;
  } catch {
    return 'it cannot be read';
  }
}

/** Issues a leaf. */
export async function newLeaf({ names, authority, now }: Wanted): Promise<Leaf> {
  const pair = await issueLeaf(authority, { names, days: validDays, now });
  return { certificate: pair.certificatePem, key: pair.keyPem, ca: authority.certificatePem };
}

/** When the leaf has to be looked at again, in milliseconds since the epoch. */
export function nextLeafCheck(leaf: Leaf, authority: Authority): number {
  const renewal = Math.min(renewalTime(leaf.certificate), renewalTime(authority.certificatePem));
  const sameAuthority = signedBy(leaf.certificate, authority.certificatePem);
  return sameAuthority ? renewal : Math.min(renewal, leafChangeTime(authority));
}

function leafChangeTime(authority: Authority): number {
  return inspectCertificate(authority.certificatePem).notBefore.getTime() + spreadMs;
}

function bareHost(value: string): string {
  return splitHostPort(value).host.replace(/^\[(.*)\]$/, '$1');
}

/** IPv6 addresses have many spellings; certificates show one of them. */
function comparable(name: string): string {
  return name.includes(':') ? new URL(`http://[${name}]`).hostname.slice(1, -1) : name.toLowerCase();
}
