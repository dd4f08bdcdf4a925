/** `--map-update` and `--map-check`: the map of imageswap written once, or compared. Small, because the check is a liveness probe. */
import { processEnvironment } from '../config/environment.ts';
import { readKubernetesAccess } from '../config/kubernetes-access.ts';
import { type MapSettings, readMapSettings } from '../config/map-environment.ts';
import { createClient, type KubeClient } from '../kube/client.ts';
import { loadConnection } from '../kube/connection.ts';
import { currentMap, mapDifference, wantedMap, writeMap } from '../operator/imageswap-map/config-map.ts';

const noKind = 'The CustomResourceDefinition of RegistryMirror is missing';

/** The probe of `deploy/` has five seconds, some of which the start takes: what is not answered by then is told, not killed. */
const patienceMs = 2_500;

/** Writes the map once. */
export function updateMap(): Promise<void> {
  return withClient(async (client, settings) => {
    const wanted = await wantedMap(client, settings);
    if (wanted === undefined) throw new Error(noKind);
    const { text } = wanted;
    if ((await currentMap(client, settings)) !== text) await writeMap(client, settings, text);
  });
}

/**
 * Sets exit code 1 with one line saying what differs when the ConfigMap does not hold the map. Without the kind there is no
 * map to hold, and the operator waits for it: a restart by the probe would not bring it. Rejects while the API server is away.
 */
export function checkMap(): Promise<void> {
  return withClient(async (client, settings) => {
    const signal = AbortSignal.timeout(patienceMs);
    const maps = [wantedMap(client, settings, signal), currentMap(client, settings, signal)] as const;
    const [wanted, current] = await Promise.all(maps);
    if (wanted === undefined) return void process.stderr.write(`${noKind}: nothing is checked\n`);
    const difference = mapDifference(wanted.text, current);
    if (difference === undefined) return;
    process.stderr.write(`ConfigMap ${settings.imageswapNamespace}/imageswap-maps differs: ${difference}\n`);
    process.exitCode = 1;
  });
}

async function withClient(use: (client: KubeClient, settings: MapSettings) => Promise<void>): Promise<void> {
  const env = processEnvironment();
  const settings = readMapSettings(env);
  const client = createClient(await loadConnection(readKubernetesAccess(env)), {
    userAgent: 'registry-mirror-operator/imageswap-map',
  });
  try {
    await use(client, settings);
  } finally {
    await client.close();
  }
}
