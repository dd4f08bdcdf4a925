/** Must hold: whatever of a blob is cached here and at its owner, and whenever the owner dies, clients get exact bytes. */
import test, { type ExecutionContext } from 'ava';
import { randomBytes } from '../support/images.ts';
import { mirrorOf } from '../support/nginx.ts';
import { ownedBy } from '../support/peers.ts';
import { type Replicas, startReplicas } from '../support/replicas.ts';
import { type ScriptableUpstream, startScriptableUpstream } from '../support/scriptable-upstream.ts';

const sliceKiB = 64;
const slice = sliceKiB * 1024;
const slices = 5;
/** Five slices, the last of them short. */
const size = (slices - 1) * slice + 12_345;

test('every subset of cached slices, with the others at the owner or upstream: a full GET returns the exact bytes', async (t) => {
  const world = await start(t);
  for (const subset of subsets()) {
    const blob = await prepare(t, world, `full ${subset}`, subset);
    const { status, body } = await world.replicas.cache('m-0').get(blob.path);
    t.is(status, 200);
    t.true(body.equals(blob.bytes), `subset ${subset.join()}`);
  }
  t.true(world.upstream.counters.tokens <= 2);
});

test('every subset of cached slices and an owner that dies in the middle: a GET and a Range return the exact bytes', async (t) => {
  const world = await start(t);
  for (const subset of subsets()) {
    const blob = await prepare(t, world, `dying ${subset}`, subset);
    await assertExactWhileDying(t, world, blob, subset);
    const again = await world.replicas.cache('m-0').get(blob.path);
    t.true(again.body.equals(blob.bytes), `subset ${subset.join()} afterwards`);
  }
  const { broken } = world.replicas.links[1]!;
  t.log(`connections to the owner broke in ${broken} of ${2 ** slices} downloads`);
  t.true(broken > 5);
});

test('every subset of cached slices, an upstream that ignores Range and an owner that dies in the middle: the exact bytes', async (t) => {
  const world = await start(t);
  for (const subset of subsets()) {
    world.upstream.cdnFaults = {};
    const blob = await prepare(t, world, `no ranges ${subset}`, subset);
    world.upstream.cdnFaults = { noRange: true };
    await assertExactWhileDying(t, world, blob, subset);
    for (const cache of world.replicas.caches)
      t.true((await cache.get(blob.path)).body.equals(blob.bytes), `subset ${subset.join()} afterwards`);
  }
  t.true(world.replicas.links[1]!.broken > 5);
});

test('an owner that dies for good in the middle, with every slice but one here', async (t) => {
  const world = await start(t);
  for (let missing = 0; missing < slices; missing++) {
    const others = Array.from({ length: slices }, (_, index) => index).filter((index) => index !== missing);
    const blob = await prepare(t, world, `gone ${missing}`, others);
    const link = world.replicas.links[1]!;
    link.breakAfter(slice / 3);
    const download = world.replicas.cache('m-0').get(blob.path);
    if (missing % 2 === 1) link.cut();
    const { body, complete } = await download;
    t.true(complete && body.equals(blob.bytes), `without ${missing}`);
    link.restore();
  }
});

interface World {
  readonly upstream: ScriptableUpstream;
  readonly replicas: Replicas;
}

/** Two replicas of a cache whose upstream wants tokens and redirects to a second origin. */
async function start(t: ExecutionContext): Promise<World> {
  const upstream = await startScriptableUpstream();
  t.teardown(() => upstream.close());
  upstream.auth = { kind: 'bearer' };
  upstream.redirect = { blobs: true };
  return { upstream, replicas: await startReplicas(t, mirrorOf(upstream), 2, { sliceSizeKiB: sliceKiB }) };
}

/** A new blob that m-1 owns, of which m-0 has exactly the slices of `subset`, and m-1 these and some others. */
async function prepare(
  t: ExecutionContext,
  { upstream, replicas }: World,
  seed: string,
  subset: readonly number[],
): Promise<{ path: string; bytes: Buffer }> {
  const { bytes, object } = ownedBy('m-1', replicas.replicas, (number) => {
    const content = randomBytes(`${seed} ${number}`, size);
    return { bytes: content, object: upstream.addBlob(content) };
  });
  const path = `/v2/library/app/blobs/${object}`;
  const elsewhere = Array.from({ length: slices }, (_, index) => index).filter(() => Math.random() < 0.3);
  for (const [name, wanted] of [
    ['m-0', subset],
    ['m-1', elsewhere],
  ] as const) {
    for (const index of wanted) {
      const at = index * slice + 7;
      const { status, body } = await replicas
        .cache(name)
        .get(path, { headers: { Range: `bytes=${at}-${at}` } });
      t.is(status, 206);
      t.is(body[0], bytes[at]);
    }
  }
  return { path, bytes };
}

/** Asks m-0 for all of a blob or its end, while the way to its owner breaks somewhere. */
async function assertExactWhileDying(
  t: ExecutionContext,
  { replicas }: World,
  { path, bytes }: { path: string; bytes: Buffer },
  subset: readonly number[],
): Promise<void> {
  const link = replicas.links[1]!;
  const from = Math.random() < 0.5 ? 0 : Math.floor(Math.random() * size);
  link.breakAfter(Math.floor(Math.random() * (size - from)));
  const headers = from === 0 ? {} : { Range: `bytes=${from}-` };
  const { body, complete } = await replicas.cache('m-0').get(path, { headers });
  t.true(complete, `subset ${subset.join()} from ${from}`);
  t.true(body.equals(bytes.subarray(from)), `subset ${subset.join()} from ${from}`);
  link.restore();
}

function subsets(): number[][] {
  return Array.from({ length: 2 ** slices }, (_, bits) =>
    Array.from({ length: slices }, (_, index) => index).filter((index) => bits & (1 << index)),
  );
}
