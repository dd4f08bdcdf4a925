/** The Secrets of a mirror: its configuration (which holds no secret) and the certificate of our own CA. */
import { group } from '../api/kind.ts';
import { objectNames } from '../api/names.ts';
import {
  type KubernetesObject,
  type MetadataView,
  type MirrorInput,
  metadataView,
  objectFrom,
} from './object.ts';

/** What `secret.yaml` prints; `data` is base64. */
export interface SecretView {
  readonly metadata: MetadataView;
  readonly type: string;
  readonly data: Readonly<Record<string, string>>;
}

/** A certificate of our own CA, its key, and the CA itself; all PEM. */
export interface Leaf {
  readonly certificate: string;
  readonly key: string;
  readonly ca: string;
}

/** A certificate that is not ours, as it was last usable: PEM texts; `authority` is what nodes trust for it. */
export interface GivenFiles {
  readonly certificate: string;
  readonly key: string;
  readonly authority: string;
}

/** What the leaf's Secret holds beside the leaf. */
export interface LeafOptions {
  /** Our own authorities that sign replicas and node agents, PEM: who shows a certificate of another one is let in nowhere. */
  readonly authorities: string;
  readonly given?: GivenFiles;
  /** Nodes whose agents did not know the authority yet when it first signed; for the condition, see `leaf-inputs.ts`. */
  readonly agentsBehind?: string;
}

/** What the configuration Secret holds. */
export interface ConfigOptions {
  readonly files: Readonly<Record<string, string>>;
  /** While a renewed authority waits for the agents: its mark, and since when it is in this Secret's `ca.crt`. */
  readonly authoritySince?: string;
}

const template = 'secret.yaml';
/** Key of both Secrets: authorities of replicas, node agents and the operator, never one of a given certificate. */
export const peerAuthoritiesKey = 'peer-ca.crt';
/** On the configuration Secret while a renewed authority waits: which one, and since when nodes are given it. */
export const authoritySinceAnnotation = `${group}/authority-since`;
/** On the leaf's Secret: which nodes were behind when the leaf changed. */
export const agentsBehindAnnotation = `${group}/agents-behind`;

/** `nginx.conf`, `default.conf`, `broker.json` and the trust bundle `ca.crt`: nodes mount it, so it never holds a key. */
export function configSecret(input: MirrorInput, { files, authoritySince }: ConfigOptions): KubernetesObject {
  const name = objectNames(input.mirror.metadata.name).configSecret;
  const object = objectFrom(template, secretView(input, name, 'Opaque', files));
  return annotated(object, authoritySinceAnnotation, authoritySince);
}

/**
 * All certificates and keys of the cache pods: `tls.crt`, `tls.key`, `ca.crt` of our own authority, `peer-ca.crt`, and a copy of the
 * given ones, so that a pod starts whatever has become of the user's Secret.
 */
export function leafSecret(
  input: MirrorInput,
  leaf: Leaf,
  { authorities, given, agentsBehind }: LeafOptions,
): KubernetesObject {
  const name = objectNames(input.mirror.metadata.name).leafSecret;
  const files = { ...leafFiles(leaf), [peerAuthoritiesKey]: authorities, ...(given && copied(given)) };
  const object = objectFrom(template, secretView(input, name, 'kubernetes.io/tls', files));
  return annotated(object, agentsBehindAnnotation, agentsBehind);
}

/**
 * What node agents show to the operator, and to a mirror that asks for a certificate: in a Secret of its own, since agents mount nothing of the
 * leaf's. `authorities` sign the operator's certificate.
 */
export function clientSecret(input: MirrorInput, leaf: Leaf, authorities: string): KubernetesObject {
  const name = objectNames(input.mirror.metadata.name).clientSecret;
  const files = { ...leafFiles(leaf), [peerAuthoritiesKey]: authorities };
  return objectFrom(template, secretView(input, name, 'kubernetes.io/tls', files));
}

function leafFiles({ certificate, key, ca }: Leaf): Record<string, string> {
  return { 'tls.crt': certificate, 'tls.key': key, 'ca.crt': ca };
}

/** The object with an annotation, where there is a value. */
export function annotated(
  object: KubernetesObject,
  key: string,
  value: string | undefined,
): KubernetesObject {
  if (value === undefined) return object;
  return { ...object, metadata: { ...object.metadata, annotations: { [key]: value } } };
}

function copied({ certificate, key, authority }: GivenFiles): Record<string, string> {
  return { 'given.crt': certificate, 'given.key': key, 'given-ca.crt': authority };
}

/** The view of a Secret of `type` with these files. */
export function secretView(
  input: MirrorInput,
  name: string,
  type: string,
  files: Readonly<Record<string, string>>,
): SecretView {
  return { metadata: metadataView(input, name), type, data: encodedFiles(files) };
}

/** `data` of a Secret with these files. */
export function encodedFiles(files: Readonly<Record<string, string>>): Record<string, string> {
  const encoded = Object.entries(files).map(([key, text]) => [key, Buffer.from(text).toString('base64')]);
  return Object.fromEntries(encoded);
}
