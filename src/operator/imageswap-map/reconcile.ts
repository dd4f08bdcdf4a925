/** The running reconciler of the map: puts hand edits back at once, so that the liveness probe is a second line of defence only. */
import { imageswapConfigMap } from '../../api/names.ts';
import type { OperatorSettings } from '../../api/settings.ts';
import type { KubeClient } from '../../kube/client.ts';
import type { KubeObject } from '../../kube/object.ts';
import type { Logger } from '../../observe/log.ts';
import { mapMirrors } from '../../rewriting/services-mirrors.ts';
import { imageswapMapOf } from '../../rewriting/sources.ts';
import type { WritePace } from '../write-pace.ts';
import { writeMap } from './config-map.ts';
import { imageswapMap } from './map.ts';

/** What the stores hold now; all of them must be synced. */
export interface MapInputs {
  readonly mirrors: readonly KubeObject[];
  readonly services: readonly KubeObject[];
  /** ConfigMap `imageswap-maps` of `IMAGESWAP_NAMESPACE`, if it exists. */
  readonly configMap: KubeObject | undefined;
}

/**
 * Writes the map when it is not what it should be; returns whether it wrote. Throws what the API server says, and `WaitingError` where somebody has undone
 * the same time and again.
 */
export async function reconcileMap(
  inputs: MapInputs,
  options: {
    client: KubeClient;
    settings: OperatorSettings;
    logger: Logger;
    /** Remembers what was written before. */
    pace: WritePace;
    signal?: AbortSignal;
  },
): Promise<boolean> {
  const { client, settings, logger, pace, signal } = options;
  const { text, leftOut } = imageswapMap(
    mapMirrors(inputs.mirrors, inputs.services),
    settings.imageswapSeparator,
  );
  if (imageswapMapOf(inputs.configMap) === text) return false;
  const uid = inputs.configMap?.metadata.uid;
  if (uid !== undefined) pace.wait(uid, text, { object: `ConfigMap ${imageswapConfigMap.name}` });
  await writeMap(client, settings, text, signal);
  if (uid !== undefined) pace.wrote(uid, text);
  logger.info(
    { namespace: settings.imageswapNamespace, leftOut: Object.fromEntries(leftOut) },
    'Wrote imageswap map',
  );
  return true;
}
