/** What the operator is told of the webhook it announces to the API server, already parsed. Types only; read by `src/config`. */

/** Where the webhook's certificate comes from, and with it the authority the API server is told to trust. */
export type WebhookCertificateSource =
  | { readonly kind: 'own' }
  | {
      readonly kind: 'certManager';
      readonly issuer: { readonly kind: 'Issuer' | 'ClusterIssuer'; readonly name: string };
    }
  /** A Secret of the user's in `NAMESPACE`: `tls.crt`, `cert.pem` or `gilly.pem`, and the authority. */
  | { readonly kind: 'secret'; readonly name: string }
  /** The webhook reads files of its own; the operator knows the authority only. */
  | { readonly kind: 'files'; readonly authorityFile: string };

export interface WebhookSettings {
  readonly certificate: WebhookCertificateSource;
  readonly failurePolicy: 'Ignore' | 'Fail';
  readonly timeoutSeconds: number;
  readonly reinvocationPolicy: 'Never' | 'IfNeeded';
  /** Also kinds with a pod template are rewritten, not only their pods. */
  readonly workloads: boolean;
  /** False: the user writes the MutatingWebhookConfiguration (`IMAGESWAP_DISABLE_AUTO_MWC`). */
  readonly managesConfiguration: boolean;
  /** MutatingWebhookConfigurations of the user's that are told the authority. */
  readonly injectInto: readonly string[];
}
