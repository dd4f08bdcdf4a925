/** Tells a MutatingWebhookConfiguration of the user's which authorities to trust. Only the bundle is ours. Pure. */
import type { KubeObject } from '../../kube/object.ts';
import type { JsonPatchOperation } from '../registry-mirror/adoption.ts';

interface ClientConfig {
  readonly caBundle?: string;
  readonly url?: string;
  readonly service?: { readonly name: string; readonly namespace: string };
}

/** The webhooks of a configuration, as far as it is read here. */
export function clientConfigs(configuration: KubeObject): readonly ClientConfig[] {
  const webhooks = (configuration['webhooks'] ?? []) as readonly { readonly clientConfig: ClientConfig }[];
  return webhooks.map(({ clientConfig }) => clientConfig);
}

/** The bundles (PEM) of a configuration. */
export function announcedBundles(configuration: KubeObject): string[] {
  return clientConfigs(configuration).map(({ caBundle = '' }) =>
    Buffer.from(caBundle, 'base64').toString('utf8'),
  );
}

/** Returns the patch that makes every webhook of the configuration trust `authorities` (PEM); undefined where all do. */
export function injectionPatch(
  configuration: KubeObject,
  authorities: string,
): readonly JsonPatchOperation[] | undefined {
  const value = Buffer.from(authorities).toString('base64');
  const changes = clientConfigs(configuration).flatMap(({ caBundle }, index) =>
    caBundle === value
      ? []
      : [{ op: 'add' as const, path: `/webhooks/${index}/clientConfig/caBundle`, value }],
  );
  if (changes.length === 0) return undefined;
  const { resourceVersion } = configuration.metadata;
  return [{ op: 'test', path: '/metadata/resourceVersion', value: resourceVersion }, ...changes];
}
