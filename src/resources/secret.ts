/** The Secrets of a mirror: its configuration (which holds no secret) and the certificate of our own CA. */
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

const template = 'secret.yaml';

/** `nginx.conf`, `default.conf`, `broker.json` and the trust bundle `ca.crt`: nodes mount it, so it never holds a key. */
export function configSecret(
  input: MirrorInput,
  { files }: { readonly files: Readonly<Record<string, string>> },
): KubernetesObject {
  const name = objectNames(input.mirror.metadata.name).configSecret;
  return objectFrom(template, secretView(input, name, 'Opaque', files));
}

/** `tls.crt`, `tls.key` and `ca.crt` for the cache pods. */
export function leafSecret(input: MirrorInput, leaf: Leaf): KubernetesObject {
  const files = { 'tls.crt': leaf.certificate, 'tls.key': leaf.key, 'ca.crt': leaf.ca };
  const name = objectNames(input.mirror.metadata.name).leafSecret;
  return objectFrom(template, secretView(input, name, 'kubernetes.io/tls', files));
}

/** The view of a Secret of `type` with these files. */
export function secretView(
  input: MirrorInput,
  name: string,
  type: string,
  files: Readonly<Record<string, string>>,
): SecretView {
  const encoded = Object.entries(files).map(([key, text]) => [key, Buffer.from(text).toString('base64')]);
  return { metadata: metadataView(input, name), type, data: Object.fromEntries(encoded) };
}
