/** The two Services of a mirror: the one clients dial, and the headless one that names the replicas. */
import { componentLabel, components, objectNames, selectorLabels } from '../api/names.ts';
import { masqueradeOf, splitHostPort } from '../api/upstream.ts';
import {
  type KubernetesObject,
  type MetadataView,
  type MirrorInput,
  metadataView,
  objectFrom,
} from './object.ts';

/** What `service.yaml` prints. */
export interface ServiceView {
  readonly metadata: MetadataView;
  /** Addresses to ask for (`None`: headless); empty: the API server chooses. */
  readonly clusterIPs: readonly string[];
  readonly selector: Readonly<Record<string, string>>;
  readonly ports: readonly { readonly name: string; readonly port: number }[];
}

const template = 'service.yaml';

/** The Service that clients dial; `clusterIPs` of a Service that was lost are asked for again. */
export function clusterService(
  input: MirrorInput,
  { clusterIPs = [] }: { readonly clusterIPs?: readonly string[] } = {},
): KubernetesObject {
  return objectFrom(
    template,
    serviceView(input, objectNames(input.mirror.metadata.name).service, clusterIPs),
  );
}

/** The headless Service: the StatefulSet's `serviceName`. */
export function headlessService(input: MirrorInput): KubernetesObject {
  return objectFrom(
    template,
    serviceView(input, objectNames(input.mirror.metadata.name).headlessService, ['None']),
  );
}

/** The view of either Service. */
export function serviceView(input: MirrorInput, name: string, clusterIPs: readonly string[]): ServiceView {
  return {
    metadata: metadataView(input, name),
    clusterIPs,
    selector: { ...selectorLabels(input.mirror.metadata.name), [componentLabel]: components.cache },
    ports: ports(input),
  };
}

/** 443, and the masquerade's own port where it names another: hosts files carry no port. */
function ports({ mirror }: MirrorInput): ServiceView['ports'] {
  const https = { name: 'https', port: 443 };
  const { port } = splitHostPort(masqueradeOf(mirror));
  return port === undefined || port === https.port ? [https] : [https, { name: 'https-masq', port }];
}
