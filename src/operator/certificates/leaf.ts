/** Certificates of our own authority for one mirror, its replicas' and its nodes': what they say, when they are made anew. */
import { nodeCommonName, objectNames, replicaCommonName, serviceDnsNames } from '../../api/names.ts';
import type { RegistryMirror } from '../../api/registry-mirror.ts';
import { masqueradeOf, parseUpstream, splitHostPort } from '../../api/upstream.ts';
import { issueLeaf, type KeyPair, type Usage } from '../../cache/tls/authority.ts';
import { inspectCertificate, signedBy } from '../../cache/tls/certificate.ts';
import type { KubeObject } from '../../kube/object.ts';
import type { Leaf } from '../../resources/secret.ts';
import { type Authority, isEarly, renewalTime } from './authority-secret.ts';
import { keyMatches } from './key-pair.ts';
import { secretText } from './secret-text.ts';
import { splitBundle, unexpired } from './trust-bundle.ts';

/** A year; renewed when two thirds are over. Renewal restarts nothing. */
const validDays = 365;
/** How long a renewed authority waits at most for the agents; and how long the old one is trusted after the leaf changed. */
export const spreadMs = 60 * 60_000;

/** Every name under which the mirror may be dialled: the masquerade's, the upstream's, the Service's addresses and the Services' DNS names. */
export function leafNames(
  mirror: RegistryMirror,
  namespace: string,
  clusterIPs: readonly string[],
): string[] {
  const { spec, metadata } = mirror;
  const dialled = [masqueradeOf(mirror), ...parseUpstream(spec.upstreamUrl).names].map(bareHost);
  const headless = `${objectNames(metadata.name).headlessService}.${namespace}.svc`;
  const replicas = [`*.${headless}`, `*.${headless}.cluster.local`];
  return [...new Set([...dialled, ...clusterIPs, ...serviceDnsNames(metadata.name, namespace), ...replicas])];
}

/** Who a certificate is of. */
export interface Identity {
  readonly commonName: string;
  readonly usages: readonly Usage[];
}

/** A replica serves, and asks other replicas. */
export function replicaIdentity(mirror: string): Identity {
  return { commonName: replicaCommonName(mirror), usages: ['serverAuth', 'clientAuth'] };
}

/** A node agent tells of its node, and asks the mirror; no replica takes it for one of its own. */
export function nodeIdentity(mirror: string): Identity & Pick<Wanted, 'names'> {
  const commonName = nodeCommonName(mirror);
  return { commonName, usages: ['serverAuth', 'clientAuth'], names: [commonName] };
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
  function otherIdentity(leaf, { identity }) {
    const { commonName, usages } = inspectCertificate(leaf.certificate);
    const same = commonName === identity.commonName && usages.join() === identity.usages.join();
    return same ? undefined : 'it is to be used for more than it says';
  },
  function early(leaf, { now }) {
    return isEarly(leaf.certificate, now) ? 'it is not valid yet' : undefined;
  },
  function old(leaf, { now }) {
    return renewalTime(leaf.certificate) <= now.getTime() ? 'two thirds of its life are over' : undefined;
  },
  function otherAuthority(leaf, { authority, renewedSigns }) {
    if (!renewedSigns || isSignedBy(leaf, authority)) return undefined;
    return 'the authority was renewed';
  },
];

/** What a leaf has to be. */
export interface Wanted {
  readonly names: readonly string[];
  readonly identity: Identity;
  readonly authority: Authority;
  /** False: the agents do not know the authority yet, the one before it signs what cannot wait. */
  readonly renewedSigns: boolean;
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

/** Issues a leaf; its `ca` is the authority that signed it and, where that changed, the one of the leaf before. */
export async function newLeaf(wanted: Wanted, before?: Leaf): Promise<Leaf> {
  const { names, identity, now } = wanted;
  const signer = signerOf(wanted);
  const pair = await issueLeaf(signer, { names, ...identity, days: validDays, now });
  const own = signer.certificatePem;
  const former = before && splitBundle(before.ca)[0];
  const ca = former === undefined || former.trim() === own.trim() ? own : `${own}${former}`;
  return { certificate: pair.certificatePem, key: pair.keyPem, ca };
}

function signerOf({ authority, renewedSigns, now }: Wanted): KeyPair {
  const { former } = authority;
  if (renewedSigns || former === undefined) return authority;
  const isValid = unexpired([former.certificatePem], now).length > 0 && !isEarly(former.certificatePem, now);
  return isValid ? former : authority;
}

/** Whether `authority` signed the leaf; throws nothing. */
export function isSignedBy(leaf: Leaf, authority: Authority): boolean {
  try {
    return signedBy(leaf.certificate, authority.certificatePem);
  } catch {
    return false;
  }
}

/** When the leaf has to be looked at again, in milliseconds since the epoch. */
export function nextLeafCheck(leaf: Leaf, authority: Authority): number {
  return Math.min(renewalTime(leaf.certificate), renewalTime(authority.certificatePem));
}

/** Until when pods may serve the leaf before this one, in milliseconds since the epoch. */
export function spreadEnd(leaf: Leaf): number {
  return inspectCertificate(leaf.certificate).notBefore.getTime() + spreadMs;
}

function bareHost(value: string): string {
  return splitHostPort(value).host.replace(/^\[(.*)\]$/, '$1');
}

/** IPv6 addresses have many spellings; certificates show one of them. */
function comparable(name: string): string {
  return name.includes(':') ? new URL(`http://[${name}]`).hostname.slice(1, -1) : name.toLowerCase();
}
