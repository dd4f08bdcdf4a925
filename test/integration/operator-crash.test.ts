import assert from 'node:assert/strict';
import test from 'ava';
import { eventually } from '../support/eventually.ts';
import { labelledNodes } from '../support/labelled-nodes.ts';
import { normalised } from '../support/normalised.ts';
import type { OperatorProcess } from '../support/operator-process.ts';
import {
  fakeNodes,
  type Live,
  mirrorsPath,
  pathsOf,
  restoreSetOf,
  startWorld,
  type World,
} from '../support/operator-world.ts';
import { originalObjects, writeAsOriginal } from '../support/original-objects.ts';

/*
 * The operator is killed after each of its writes: the write has taken effect, its answer was never seen. What another operator makes of it must be
 * what one that was never killed makes. A kill is that of several mirrors, each after another one of its writes.
 */
let world: World;
test.before(async () => {
  world = await startWorld();
});
test.afterEach.always(async (t) => {
  if (!t.passed) t.log(world.lastWords());
  await world.killOperators();
});
test.after.always(() => world?.end());

const lease = '/apis/coordination.k8s.io/v1/namespaces/default/leases/registry-mirror-operator';

interface Scenario {
  /** The state of these mirrors before the operator whose writes are counted starts. */
  prepare(names: readonly string[]): Promise<void>;
  /** True: what is prepared must be met by one operator only. */
  readonly alone?: boolean;
  /** What it is to bring about; called while it runs. */
  begin(name: string): Promise<unknown>;
  /** Throws until it has come about. */
  done(name: string): Promise<unknown>;
}

/** As many mirrors as the operator works on at a time. */
const atOnce = 4;
/** Milliseconds: what is asked for is ten objects of each of them. */
const interval = 200;

/** Runs the scenario undisturbed, then with a kill behind each of its writes; compares the ends. */
async function sweep(t: Live, prefix: string, scenario: Scenario): Promise<void> {
  const { writes, expected } = await undisturbed(`${prefix}0x`, scenario);
  t.log(`${writes.length} writes: ${writes.map(shown).join(', ')}`);
  const kills = writes.map((_, at) => ({ name: `${prefix}${at + 1}x`, write: at + 1 }));
  if (!scenario.alone) await scenario.prepare(kills.map(({ name }) => name));
  let operator: OperatorProcess | undefined;
  for (let at = 0; at < kills.length; at += atOnce) {
    const batch = kills.slice(at, at + atOnce);
    if (scenario.alone) await scenario.prepare(batch.map(({ name }) => name));
    // Who mended the last ones is killed next.
    await killAt(batch, scenario, operator);
    operator = world.start();
    await Promise.all(
      batch.map(({ name, write }) =>
        eventually(() => scenario.done(name), { interval, message: `not mended after write ${write}` }),
      ),
    );
    await world.quiet(400);
    for (const { name, write } of batch)
      t.deepEqual(await state(name), expected, `killed after write ${write}`);
    if (!scenario.alone) continue;
    await operator.stop();
    operator = undefined;
  }
  await operator?.stop();
  await forget();
}

async function undisturbed(name: string, scenario: Scenario) {
  await scenario.prepare([name]);
  world.proxy.reset();
  const operator = world.start();
  await scenario.begin(name);
  await eventually(() => scenario.done(name));
  await world.quiet();
  const writes = world.proxy.writes().filter(({ path }) => path.includes(name));
  await operator.stop();
  return { writes, expected: await state(name) };
}

/** Kills the operator when it has made of each mirror the write that is named, and waits for its answer. */
async function killAt(
  batch: readonly { readonly name: string; readonly write: number }[],
  scenario: Scenario,
  running: OperatorProcess | undefined,
): Promise<void> {
  world.proxy.reset();
  for (const { name, write } of batch) world.proxy.holdAtWrite(name, write);
  const victim = running ?? world.start();
  for (const { name } of batch) await scenario.begin(name);
  // Writes that only some runs need (a status in two steps) may not come: then the end is that of no kill.
  for (const { name } of batch)
    await eventually(
      async () => {
        if (!world.proxy.isHeld(name)) await scenario.done(name);
      },
      { interval },
    );
  await victim.kill();
  world.proxy.reset();
  await world.delete(lease);
}

/** Each operator that starts looks at every mirror there is: those of one sweep are nothing to the next. */
async function forget(): Promise<void> {
  for (const { metadata } of (await world.get(mirrorsPath)).items) {
    const { mirror } = pathsOf(metadata.name);
    await world.patch(mirror, { metadata: { finalizers: null } });
    await world.delete(mirror);
  }
}

function shown({ verb, path }: { verb: string; path: string }): string {
  return `${verb} ${path.split('/').at(-1)}`;
}

async function state(name: string): Promise<Record<string, unknown>> {
  const entries = Object.entries(pathsOf(name)).map(async ([key, path]) => {
    const object = await world.find(path);
    return [key, object === undefined ? undefined : normalised(object, name)] as const;
  });
  return Object.fromEntries(await Promise.all(entries));
}

const spec = (name: string) => ({ upstreamUrl: `${name}.example` });

/** Lets one operator make all of these mirrors. */
async function makeAll(names: readonly string[], done: (name: string) => Promise<unknown>): Promise<void> {
  const operator = world.start();
  for (const name of names) await world.mirror(name, spec(name));
  for (const name of names) await eventually(() => done(name));
  await world.quiet(300);
  await operator.stop();
}

async function complete(name: string): Promise<Live> {
  const mirror = await world.get(pathsOf(name).mirror);
  assert.equal(mirror.status?.observedGeneration, mirror.metadata.generation);
  for (const path of Object.values(pathsOf(name))) assert.ok(await world.find(path), path);
  return mirror;
}

test.serial('Killed after any write while a mirror is made, it ends the same', async (t) => {
  await sweep(t, 'make', {
    prepare: async () => {},
    begin: (name) => world.mirror(name, spec(name)),
    done: complete,
  });
});

test.serial('Killed after any write while a mirror is changed, it ends the same', async (t) => {
  await sweep(t, 'change', {
    prepare: (names) => makeAll(names, complete),
    begin: (name) =>
      world.mirror(name, {
        ...spec(name),
        masqueradeUrl: `hub.${name}.example:5000`,
        replicas: 3,
        cache: { tagTTL: '5m' },
      }),
    async done(name) {
      const { status } = await complete(name);
      assert.match(status.masquerade, /^hub\./);
    },
  });
});

test.serial(
  'Killed after any write while objects of the original are taken over, it ends the same',
  async (t) => {
    await sweep(t, 'adopt', {
      alone: true,
      async prepare(names) {
        for (const name of names) {
          const { metadata } = await world.mirror(name, spec(name));
          for (const object of originalObjects({ name, uid: metadata.uid }, `mirror-${name}.example`))
            await writeAsOriginal(world.plane, object);
        }
      },
      // It starts at once when the operator does.
      begin: async () => {},
      done: complete,
    });
  },
);

test.serial(
  'Killed after any write while nodes leave the selection, exactly these are restored',
  async (t) => {
    const nodes = labelledNodes(t, world, { stays: { pool: 'a' }, leaves: { pool: 'b' } });
    await sweep(t, 'leave', {
      prepare: (names) => makeAll(names, (name) => world.condition(name, 'NodesWired', 'Wired')),
      begin: (name) =>
        world.patch(pathsOf(name).mirror, { spec: { nodes: { nodeSelector: { pool: 'a' } } } }),
      async done(name) {
        const { status: said } = await complete(name);
        const wired = said.conditions.find(({ type }: Live) => type === 'NodesWired');
        assert.equal(wired.message, '1 of 1 nodes are wired');
        assert.deepEqual(nodes.restored(name), ['leaves']);
        assert.equal(await world.find(restoreSetOf(name)), undefined);
        const { metadata, status } = await world.get(pathsOf(name).daemonSet);
        assert.equal(metadata.annotations?.['k8s.osp.tech/leaving-nodes'], undefined);
        assert.equal(status.numberReady, 1);
      },
    });
    t.deepEqual([...nodes.fights], []);
  },
);

test.serial('Killed after any write while a mirror is deleted, it ends the same', async (t) => {
  fakeNodes(t, world, 2);
  await sweep(t, 'end', {
    prepare: (names) => makeAll(names, (name) => world.condition(name, 'NodesWired', 'Wired')),
    begin: (name) => world.delete(pathsOf(name).mirror),
    async done(name) {
      for (const path of Object.values(pathsOf(name))) assert.equal(await world.find(path), undefined);
    },
  });
});
