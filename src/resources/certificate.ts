/** cert-manager's Certificate of a mirror: services mode, where the Issuer exists. */
import { issuerName, objectNames } from '../api/names.ts';
import {
  type KubernetesObject,
  type MetadataView,
  type MirrorInput,
  metadataView,
  objectFrom,
} from './object.ts';

/** What `certificate.yaml` prints. */
export interface CertificateView {
  readonly metadata: MetadataView;
  readonly secretName: string;
  readonly issuerName: string;
  readonly ipAddresses: readonly string[];
}

/** Asks cert-manager for a certificate of the Service's addresses; it writes the Secret, we only mount that. */
export function certificate(
  input: MirrorInput,
  { clusterIPs }: { readonly clusterIPs: readonly string[] },
): KubernetesObject {
  return objectFrom('certificate.yaml', certificateView(input, clusterIPs));
}

/** The view of the Certificate. */
export function certificateView(input: MirrorInput, clusterIPs: readonly string[]): CertificateView {
  const names = objectNames(input.mirror.metadata.name);
  return {
    metadata: metadataView(input, names.certificate),
    secretName: names.certificateSecret,
    issuerName,
    ipAddresses: clusterIPs,
  };
}
