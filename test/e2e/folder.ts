/** Where clusters of tests lie: a folder of this working copy for each test file, so that what a killed run left is found by the next. */
import { join } from 'node:path';

export function clusterFolder(name: string): string {
  const root = process.env['CLUSTER_FOLDER'] ?? join(import.meta.dirname, '../../.cluster');
  return `${root}-${name}`;
}
