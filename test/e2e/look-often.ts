import { readFileSync, writeFileSync } from 'node:fs';
import type { ClusterNode } from '../cluster/node.ts';

/** Makes the kubelet look at mounted Secrets every few seconds, not every minute: nothing else of it is another. */
export async function lookOften(node: ClusterNode): Promise<void> {
  const file = node.path('/var/lib/kubelet/config.yaml');
  const config = { ...JSON.parse(readFileSync(file, 'utf8')), syncFrequency: '3s' };
  writeFileSync(file, JSON.stringify(config));
  await node.restartDaemon('kubelet');
}
