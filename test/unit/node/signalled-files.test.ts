/** Files whose readers are signalled: whatever fails or ends in between, a change is followed by a signal. */
import * as fs from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import fc from 'fast-check';
import type { Action } from '../../../src/node/action.ts';
import { planContainersRegistries } from '../../../src/node/containers-registries.ts';
import { daemonFile, planDockerDaemon, planDockerDaemonRemoval } from '../../../src/node/docker-daemon.ts';
import { apply, openHost, recordedOf, type View, viewOf } from './host.ts';
import { type Fault, faultyFiles, makeSandbox, type Sandbox } from './sandbox.ts';

const faults: readonly Fault[] = ['kill-before', 'kill-within', 'kill-after', 'fail'];
const ports: Record<string, number> = { hub: 31_000, two: 31_001 };
const dropIns = 'etc/containers/registries.conf.d';

type Mode = 'wire' | 'restore';

/** Both targets at once. */
function plan(view: View, mirror: string, mode: Mode): Action[] {
  const { read } = view;
  const record = recordedOf(view, 'docker-daemon')[0];
  const location = `127.0.0.1:${ports[mirror]}`;
  const docker =
    mode === 'wire'
      ? planDockerDaemon({ mirror, url: `http://${location}`, record, read })
      : planDockerDaemonRemoval({ leaves: (each) => each === mirror, record, read });
  const registries = planContainersRegistries({
    mirror,
    names:
      mode === 'wire'
        ? [{ prefix: `${mirror}.example`, upstream: `${mirror}.example` }, { prefix: `m-${mirror}` }]
        : [],
    endpoint: { kind: 'loopback', location },
    foreignFiles: 'refuse',
    signalsCrio: true,
    recorded: recordedOf(view, 'containers-registries').filter((each) => each.mirror === mirror),
    ...view,
  });
  return [...docker.actions, ...registries.actions];
}

/** As pass.ts does before it plans. */
function removeTemporaries(root: string): void {
  for (const name of fs.readdirSync(root, { recursive: true, encoding: 'utf8' }))
    if (name.endsWith('.tmp')) fs.rmSync(join(root, name));
}

/** A dockerd and a CRI-O: what they know is what lay there when they were told last. */
function daemons(box: Sandbox) {
  const seen = () => ({
    dockerd: box.bytes(daemonFile)?.toString(),
    crio: Object.entries(box.tree()).filter(
      ([path, text]) => path.startsWith(dropIns) && text.startsWith('file'),
    ),
  });
  let known = seen();
  let told = 0;
  return {
    seen,
    known: () => known,
    told: () => told,
    /** One pass; true where all went well and it had nothing to do. */
    pass: (mirror: string, mode: Mode, files: typeof fs = fs): boolean => {
      const host = openHost(
        box.root,
        (process) => {
          told += 1;
          known = { ...known, [process]: seen()[process as 'dockerd'] };
          return { sent: [1] };
        },
        files as never,
      );
      removeTemporaries(box.root);
      const results = apply(host, plan(viewOf(host), mirror, mode));
      return results.length === 0;
    },
  };
}

function settle(world: ReturnType<typeof daemons>, mirror: string, mode: Mode): boolean {
  return [1, 2, 3].some(() => world.pass(mirror, mode));
}

const before = '{\n  "debug": true\n}\n';

for (const fault of faults) {
  for (const mode of ['wire', 'restore'] as const) {
    test(`${fault} at any call of a ${mode}: the next pass makes it good and tells the daemons`, (t) => {
      for (let at = 1; ; at += 1) {
        const box = makeSandbox();
        try {
          box.put(daemonFile, before);
          const tree = box.tree();
          const world = daemons(box);
          if (mode === 'restore') settle(world, 'hub', 'wire');
          const files = faultyFiles(fault, at);
          try {
            world.pass('hub', mode, files as never);
          } catch {
            // Killed.
          }
          t.true(settle(world, 'hub', mode), `call ${at}`);
          t.deepEqual(world.known(), world.seen(), `call ${at}`);
          if (mode === 'restore') t.deepEqual(box.tree(), tree, `call ${at}`);
          if (files.calls < at) return;
        } finally {
          box.remove();
        }
      }
    });
  }
}

test('a signal that fails is sent by the next pass', (t) => {
  const box = makeSandbox();
  t.teardown(box.remove);
  const sent: string[] = [];
  const refusing = openHost(box.root, () => ({ sent: [], error: new Error('EPERM') }));
  const results = apply(refusing, plan(viewOf(refusing), 'hub', 'wire'));
  t.is(results.filter(({ error }) => error !== undefined).length, 2);
  const host = openHost(box.root, (process) => {
    sent.push(process);
    return { sent: [1] };
  });
  apply(host, plan(viewOf(host), 'hub', 'wire'));
  apply(host, plan(viewOf(host), 'hub', 'wire'));
  t.deepEqual(sent, ['dockerd', 'crio']);
});

test('where nothing could be written nobody is signalled', (t) => {
  const box = makeSandbox();
  t.teardown(box.remove);
  fs.writeFileSync(join(box.root, 'etc/docker'), 'a file in place of the folder');
  const host = openHost(box.root, () => {
    throw new Error('Signalled');
  });
  const actions = plan(viewOf(host), 'hub', 'wire').filter(
    (action) => action.path === daemonFile || (action.do === 'signal' && action.process === 'dockerd'),
  );
  for (const { error } of apply(host, actions)) t.truthy(error);
  t.deepEqual(host.owed.read(), []);
});

test('a pass owes nothing and signals nobody when all is in place', (t) => {
  const box = makeSandbox();
  t.teardown(box.remove);
  const world = daemons(box);
  t.true(settle(world, 'hub', 'wire'));
  const told = world.told();
  t.true(world.pass('hub', 'wire'));
  t.is(world.told(), told);
});

const steps = fc.record({
  mirror: fc.constantFrom('hub', 'two'),
  mode: fc.constantFrom('wire' as const, 'wire' as const, 'restore' as const),
  fault: fc.constantFrom(...faults),
  at: fc.oneof(fc.constant(0), fc.nat(120)),
});

const contents = fc.constantFrom(
  undefined,
  '',
  '{}',
  before,
  '{"registry-mirrors":[ "https://one.example" ]}',
  '[',
);

test('after any sequence of wirings, crashes and restores of two mirrors a restore gives the tree from before, and the daemons know it', (t) => {
  fc.assert(
    fc.property(contents, fc.array(steps, { maxLength: 6 }), (content, sequence) => {
      const box = makeSandbox();
      try {
        if (content !== undefined) box.put(daemonFile, content);
        const tree = box.tree();
        const world = daemons(box);
        for (const { mirror, mode, fault, at } of sequence) {
          try {
            world.pass(mirror, mode, faultyFiles(fault, at) as never);
          } catch {
            // Killed.
          }
        }
        for (const mirror of ['hub', 'two']) t.true(settle(world, mirror, 'restore'));
        t.deepEqual(box.tree(), tree);
        t.deepEqual(world.known(), world.seen());
      } finally {
        box.remove();
      }
    }),
    { numRuns: 150 },
  );
  t.pass();
});
