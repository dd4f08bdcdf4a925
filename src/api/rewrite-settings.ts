/** What `webhook` and operator are told of image rewriting by their environment, already parsed. Types only; read by `src/config`. */

/**
 * Who rewrites. `none`: nobody, and the operator writes nothing for it. `auto`: the API server by a MutatingAdmissionPolicy where it serves
 * that in v1, else the webhook.
 */
export type RewriteEngine = 'none' | 'webhook' | 'policy' | 'auto';

export interface RewriteSettings {
  readonly engine: RewriteEngine;
  /** Where the parameters for all namespaces, the webhook's Service and its certificate are (`NAMESPACE`). */
  readonly namespace: string;
  /** Mirrors are rules in scheme `services` only. */
  readonly mirrors: boolean;
  /** imageswap's rules: its ConfigMap, a file, or one prefix; undefined: none. */
  readonly imageswap?:
    | { readonly configMapNamespace: string }
    | { readonly file: string }
    | { readonly legacyPrefix: string };
  /** gilly's rule; undefined without `GILLY_REGISTRY`. */
  readonly gilly?: {
    readonly registry: string;
    readonly exclude: readonly string[];
    readonly keepSource: boolean;
  };
  /** Label of objects that are left alone where its value is `disabled` (`IMAGESWAP_DISABLE_LABEL`). */
  readonly disableLabel: string;
  /** `labelled`: mirrors and gilly count only in namespaces labelled for imageswap, as imageswap itself does. */
  readonly namespaces: 'all' | 'labelled';
  /** Kinds of controllers, as `Kind.group`, whose pods are left alone: they compare images with what they wrote. */
  readonly skipOwners: readonly string[];
  /** Each rewritten image is kept in an annotation of its pod. */
  readonly annotate: boolean;
}
