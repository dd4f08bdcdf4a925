/** The ConfigMap of CA_CERTIFICATE_BUNDLE: pods mount it where it exists, so without a check nobody would miss it. Pure. */
import type { OperatorSettings } from '../../api/settings.ts';
import type { KubeObject } from '../../kube/object.ts';
import type { Obstacle } from './finding.ts';

const key = 'ca-certificates.crt';

/** Holds nothing back: what exists is served, and upstreams of public authorities are reached. */
export function caBundleMissing(
  { namespace, caCertificateBundle }: OperatorSettings,
  find: (key: string) => KubeObject | undefined,
): Obstacle | undefined {
  if (caCertificateBundle === undefined) return undefined;
  const where = `${namespace}/${caCertificateBundle}`;
  const configMap = find(where);
  if (configMap !== undefined && hasBundle(configMap)) return undefined;
  const fault = configMap
    ? `has no key ${key}`
    : 'does not exist, or the operator may not list and watch ConfigMaps';
  const message = `ConfigMap ${where} of CA_CERTIFICATE_BUNDLE ${fault}: upstreams of a private authority are not trusted; create it with key ${key}, or unset CA_CERTIFICATE_BUNDLE`;
  return { reason: 'CABundleNotFound', message };
}

/** What is kept in memory: whether there is a bundle, not the bundle. */
export function preparedBundle(configMap: KubeObject): KubeObject {
  const { managedFields: _fields, annotations: _annotations, ...metadata } = configMap.metadata;
  const { data: _data, binaryData: _binary, ...rest } = configMap as KubeObject & Record<string, unknown>;
  return { ...rest, metadata, data: hasBundle(configMap) ? { [key]: 'set' } : {} } as KubeObject;
}

function hasBundle(configMap: KubeObject): boolean {
  return hasContent(configMap, key);
}

/** Whether there is anything under `key` of a ConfigMap. */
export function hasContent(configMap: KubeObject, key: string): boolean {
  const { data, binaryData } = configMap as { data?: Texts; binaryData?: Texts };
  return Boolean(data?.[key] || binaryData?.[key]);
}

type Texts = Readonly<Record<string, string>>;
