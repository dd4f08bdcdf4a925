/** A webhook with a rule of every source, in scheme services. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { WebhookProcess } from './webhook-process.ts';
import type { WebhookWorld } from './webhook-world.ts';

/** Where the mirror of `hub.example` is. */
export const mirrorIp = '10.96.7.7';

export const enabled = { 'k8s.twr.io/imageswap': 'enabled' };

const map = ['default::', 'ghcr.io::swap.local', 'bad.io::no_.local', '[REPLACE]pattern.io/*::pattern.local'];

/** Makes the namespaces `team` (where all rules count) and `out` (where none do), and starts it. */
export async function webhookOfAllSources(world: WebhookWorld): Promise<WebhookProcess> {
  const mapFile = join(world.folder, 'maps.conf');
  await writeFile(mapFile, map.join('\n'));
  await world.namespace('team', enabled);
  await world.namespace('out', { 'k8s.twr.io/imageswap': 'disabled' });
  await world.mirror('hub', 'hub.example', mirrorIp);
  await world.imageMap('team', { nginx: 'map.local/nginx:1' });
  return world.webhook({
    ADDRESSING_SCHEME: 'services',
    IMAGESWAP_MAPS_FILE: mapFile,
    GILLY_REGISTRY: 'gilly.local',
  });
}
