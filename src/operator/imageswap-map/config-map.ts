/** The ConfigMap that holds the map: read, compare, write. Only its key `maps` is ours. */
import { fieldManager, imageswapConfigMap } from '../../api/names.ts';
import type { OperatorSettings } from '../../api/settings.ts';
import type { KubeClient } from '../../kube/client.ts';
import { ApiError } from '../../kube/errors.ts';
import { mapMirrors } from '../../rewriting/services-mirrors.ts';
import { imageswapMapOf } from '../../rewriting/sources.ts';
import { configMaps, registryMirrors, services } from '../resource-types.ts';
import { type ImageswapMap, imageswapMap } from './map.ts';

type MapSettings = Pick<OperatorSettings, 'namespace' | 'imageswapNamespace' | 'imageswapSeparator'>;

/**
 * Reads mirrors and Services and returns the map as it should be; undefined where the kind is not known to the API server.
 * Throws on any failed read, so that nothing shrinks for one.
 */
export async function wantedMap(
  client: KubeClient,
  settings: MapSettings,
  signal?: AbortSignal,
): Promise<ImageswapMap | undefined> {
  const selection = { namespace: settings.namespace, labelSelector: 'app=docker-registry' };
  const [mirrors, serviceList] = await Promise.all([
    client.listAll(registryMirrors, { signal }).catch(undefinedIfNotFound),
    client.listAll(services, { ...selection, signal }),
  ]);
  if (mirrors === undefined) return undefined;
  return imageswapMap(mapMirrors(mirrors.items, serviceList.items), settings.imageswapSeparator);
}

function undefinedIfNotFound(error: unknown): undefined {
  if (!(error instanceof ApiError && error.notFound)) throw error;
}

/** Reads the map as it is; undefined when the ConfigMap or its key is missing. */
export async function currentMap(
  client: KubeClient,
  settings: MapSettings,
  signal?: AbortSignal,
): Promise<string | undefined> {
  const key = { namespace: settings.imageswapNamespace, name: imageswapConfigMap.name };
  return imageswapMapOf(await client.getOrUndefined(configMaps, key, { signal }));
}

/** Writes the map, making the ConfigMap when it is missing; other keys and metadata stay as they are. */
export async function writeMap(
  client: KubeClient,
  settings: MapSettings,
  text: string,
  signal?: AbortSignal,
): Promise<void> {
  await client.apply(
    configMaps,
    {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { namespace: settings.imageswapNamespace, name: imageswapConfigMap.name },
      data: { [imageswapConfigMap.key]: text },
    },
    { fieldManager, force: true, signal },
  );
}

/** Says in one line how two maps differ; undefined when they do not. */
export function mapDifference(wanted: string, current: string | undefined): string | undefined {
  if (current === wanted) return undefined;
  if (current === undefined) return `key ${imageswapConfigMap.key} is missing`;
  const lines = { wanted: wanted.split('\n'), current: current.split('\n') };
  const missing = lines.wanted.filter((line) => !lines.current.includes(line));
  const foreign = lines.current.filter((line) => !lines.wanted.includes(line));
  const parts = [
    missing.length > 0 ? `missing ${JSON.stringify(missing.join('\n'))}` : '',
    foreign.length > 0 ? `foreign ${JSON.stringify(foreign.join('\n'))}` : '',
  ].filter((part) => part !== '');
  return parts.join(', ') || 'order or repetition of lines';
}
