/**
 * A roll-out of twenty pods over both nodes with an image that nobody has: with the mirror beside without, and with an upstream that is not
 * fast. Times are compared within one run. An upstream without a limit is another process of the same two cores, which no network ever is:
 * there the times are only printed.
 */
import test, { type ExecutionContext } from 'ava';
import type { Image } from '../support/images.ts';
import { bytesOf, type InstalledCluster, installedCluster, sizeOf } from './installed-cluster.ts';

const host = 'registry.example';
const size = 256 * 1024 * 1024;
/** Bytes in a second of the slow upstream. */
const rate = 50_000_000;
const pods = 20;
let world: InstalledCluster;
const images: Record<string, Image> = {};
const direct: Record<string, number> = {};

test.before(async (t) => {
  t.timeout(1_800_000, 'the programs and the image may have to be built first');
  world = await installedCluster({ name: 'herd', upstreams: [host] });
  for (const repository of ['fast', 'slow'])
    images[repository] = await world.push(host, repository, { size });
});
test.after.always(() => world?.cluster.stop());

test.serial('without a mirror, for comparison', async (t) => {
  for (const repository of ['fast', 'slow']) direct[repository] = await herd(t, repository);
  t.true(direct['slow']! > direct['fast']!);
});

test.serial(
  'with the mirror the upstream is asked for the image once, and where it is not fast, all pods run sooner',
  async (t) => {
    await world.mirror('example', { upstreamUrl: host, nodes: { wire: 'transparent' } });
    await world.untilServing('example');
    for (const repository of ['fast', 'slow']) {
      const mark = world.mark(host);
      const seconds = await herd(t, repository);
      const bytes = bytesOf(world.blobRequests(host, mark));
      const times = bytes / sizeOf(images[repository]!);
      t.log(
        `${repository}: ${times.toFixed(3)} times the image; ${(seconds / direct[repository]!).toFixed(2)} of the time without`,
      );
      t.true(times > 0.98 && times <= 1.02, `${times} times the image`);
      if (repository === 'slow') t.true(seconds < direct[repository]!, `${seconds} s`);
    }
  },
);

/** Rolls out, returns after how many seconds all pods run, and leaves no trace of the image on the nodes. */
async function herd(t: ExecutionContext, repository: string): Promise<number> {
  await world.cluster.internet.slow(repository === 'slow' ? rate : undefined);
  const began = Date.now();
  await world.rollOut('herd', { image: `${host}/${repository}:1`, replicas: pods }, 180_000);
  const seconds = (Date.now() - began) / 1000;
  t.log(`${repository}: ${pods} pods run after ${seconds.toFixed(1)} s`);
  await world.remove('herd');
  await world.forget(`${host}/${repository}`);
  return seconds;
}
