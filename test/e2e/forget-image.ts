/** Makes a node forget images, so that the next pull is one. */
import { parseReference, wholeName } from '../../src/image/reference.ts';
import type { ClusterNode } from '../cluster/node.ts';
import { eventually } from '../support/eventually.ts';

/** All images of a repository, by its whole name, and every other name that they have: tag, digest and id. */
export async function forgetImage(node: ClusterNode, repository: string): Promise<void> {
  const images = (await node.ctr('images', 'list')).split('\n').slice(1).map(imageOf);
  const digests = new Set(images.filter(({ name }) => isOf(name, repository)).map(({ digest }) => digest));
  const names = images.filter(({ digest }) => digests.has(digest)).map(({ name }) => name);
  await untilUnused(node, names);
  if (names.length > 0) await node.ctr('images', 'remove', '--sync', ...names);
}

/** A container that is only just ending keeps its layers, and the next pull would need none of them. */
async function untilUnused(node: ClusterNode, images: readonly string[]): Promise<void> {
  await eventually(
    async () => {
      const lines = (await node.ctr('containers', 'list')).split('\n').slice(1);
      const used = lines
        .map((line) => line.trim().split(/\s+/)[1] ?? '')
        .filter((name) => images.includes(name));
      if (used.length > 0) throw new Error(`${node.name} still has containers of ${used.join(', ')}`);
    },
    // The kubelet removes what is left of deleted pods once a minute.
    { timeout: 90_000, interval: 500 },
  );
}

/** A line of `ctr images list`. */
function imageOf(line: string): { name: string; digest: string } {
  const [name = '', , digest = ''] = line.trim().split(/\s+/);
  return { name, digest };
}

function isOf(reference: string, repository: string): boolean {
  const parsed = parseReference(reference);
  return parsed !== undefined && wholeName(parsed) === repository;
}
