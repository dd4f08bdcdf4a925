/** What the operator is told by its environment, already parsed. Types only; read by `src/config`. */
import type { Toleration } from './registry-mirror.ts';
import type { RewriteSettings } from './rewrite-settings.ts';
import type { WebhookSettings } from './webhook-settings.ts';

/** How nodes reach a mirror. */
export type AddressingScheme = 'hostess' | 'services';

/** Settings that hold for every mirror of this operator. */
export interface OperatorSettings {
  /** Where all objects are made (`NAMESPACE`). */
  readonly namespace: string;
  readonly addressingScheme: AddressingScheme;
  /** Secret with `tls.crt`, `tls.key`, optionally `ca.crt` for the proxies; undefined: only our own CA and leaves. */
  readonly certificateSecret?: string;
  /** ConfigMap with key `ca-certificates.crt`, trusted towards upstreams beside the system's CAs. */
  readonly caCertificateBundle?: string;
  /** `HTTPS_PROXY` and `NO_PROXY`: through which upstreams are asked whose mirror names no proxy; without user name and password. */
  readonly egressProxy?: { readonly url: string; readonly noProxy: readonly string[] };
  readonly imageswapNamespace: string;
  /** Dialect of the imageswap map: `:` for imageswap 1.4 and later, `::` for 1.5 and later. */
  readonly imageswapSeparator: ':' | '::';
  /** Images of the pods we make, `DOCKER_REGISTRY` already applied. */
  readonly images: {
    /** Our own image (`OPERATOR_IMAGE`): broker, node agent, and nginx unless `NGINX_IMAGE` names another. */
    readonly operator: string;
    readonly nginx: string;
    /** A foreign mirror-hostess image named by `HOSTESS_DOCKER_IMAGE`; undefined: our own node agent does its work. */
    readonly hostess?: string;
  };
  readonly imagePullSecrets: readonly string[];
  /** Extra labels of StatefulSet and DaemonSet (`SS_DS_LABELS`). */
  readonly labels: Readonly<Record<string, string>>;
  /** Extra labels of their pods (`SS_DS_TEMPLATE_LABELS`); never overrides ours. */
  readonly templateLabels: Readonly<Record<string, string>>;
  /** Tolerations of both (`SS_DS_TOLERATIONS`). */
  readonly tolerations: readonly Toleration[];
  /** Tolerations of the DaemonSet alone (`DS_TOLERATIONS`). */
  readonly nodeTolerations: readonly Toleration[];
  /** Ports of mirrors on their nodes, both ends included (`NODE_PORTS`); the first is the shared agent's. */
  readonly nodePorts: { readonly first: number; readonly last: number };
  /** Of node agents whose mirror names none (`NODE_PRIORITY_CLASS`). */
  readonly nodePriorityClass: string;
  /** `shared`: one DaemonSet wires all mirrors (`NODE_DAEMONSETS`). */
  readonly nodeDaemonSets: 'perMirror' | 'shared';
  /** True: a credentials Secret must carry the label `k8s.osp.tech/mirror-credentials: "true"`. */
  readonly requireCredentialsLabel: boolean;
  /** Image rewriting (`REWRITE_ENGINE`); undefined: the operator has nothing to do with it. */
  readonly rewriting?: { readonly rules: RewriteSettings; readonly webhook: WebhookSettings };
}
