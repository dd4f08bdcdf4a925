/** The running reconciler of the map: puts hand edits back at once, so that the liveness probe is a second line of defence only. */
import type { OperatorSettings } from '../../api/settings.ts';
import type { KubeClient } from '../../kube/client.ts';
import type { KubeObject } from '../../kube/object.ts';
import type { Logger } from '../../observe/log.ts';
import { mapMirrors } from '../../rewriting/services-mirrors.ts';
import { imageswapMapOf } from '../../rewriting/sources.ts';
import { writeMap } from './config-map.ts';
import { imageswapMap } from './map.ts';

/** What the stores hold now; all of them must be synced. */
export interface MapInputs {
  readonly mirrors: readonly KubeObject[];
  readonly services: readonly KubeObject[];
  /** ConfigMap `imageswap-maps` of `IMAGESWAP_NAMESPACE`, if it exists. */
  readonly configMap: KubeObject | undefined;
}

/** Writes the map when it is not what it should be; returns whether it wrote. Throws what the API server says. */
export async function reconcileMap(
  inputs: MapInputs,
  options: { client: KubeClient; settings: OperatorSettings; logger: Logger; signal?: AbortSignal },
): Promise<boolean> {
  const { client, settings, logger, signal } = options;
  const { text, leftOut } = imageswapMap(
    mapMirrors(inputs.mirrors, inputs.services),
    settings.imageswapSeparator,
  );
  if (imageswapMapOf(inputs.configMap) === text) return false;
  await writeMap(client, settings, text, signal);
  logger.info(
    { namespace: settings.imageswapNamespace, leftOut: Object.fromEntries(leftOut) },
    'Wrote imageswap map',
  );
  return true;
}
