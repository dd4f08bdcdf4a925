/** `make cluster` and `make cluster-down`: a Kubernetes cluster of two nodes on this machine (test/cluster). `node scripts/cluster.ts up|down`. */
import { join } from 'node:path';
import { type Cluster, openCluster } from '../test/cluster/cluster.ts';
import { startCluster } from '../test/cluster/start-cluster.ts';
import { tearDown } from '../test/cluster/teardown.ts';

const folder = process.env['CLUSTER_FOLDER'] ?? join(import.meta.dirname, '../.cluster');
const commands: Record<string, () => Promise<void>> = { up, down };
const command = commands[process.argv[2] ?? ''];
if (command === undefined) throw new Error('Usage: node scripts/cluster.ts up|down');
await command().catch((error: Error) => {
  console.error(process.env['DEBUG'] ? error : error.message);
  process.exitCode = 1;
});

async function up(): Promise<void> {
  const began = Date.now();
  const found = await openCluster(folder);
  const cluster = found ?? (await startCluster({ folder, report: (line) => console.error(line) }));
  if (found === undefined) console.error(`Ready after ${((Date.now() - began) / 1000).toFixed(1)} s`);
  console.log(await description(cluster));
  await cluster.close();
}

async function down(): Promise<void> {
  const wasThere = await tearDown(folder);
  console.error(wasThere ? 'The cluster is gone' : 'There is no cluster');
}

async function description({ nodes, kubeconfigPath, internet }: Cluster): Promise<string> {
  const places = [...nodes.map(({ place }) => place), internet.place];
  const enter = await Promise.all(
    places.map(async (place) => `  ${place.name.padEnd(10)}${(await place.enterCommand()).join(' ')}`),
  );
  return [
    `export KUBECONFIG=${kubeconfigPath}`,
    'To enter a node, or the internet that they see:',
    ...enter,
  ].join('\n');
}
