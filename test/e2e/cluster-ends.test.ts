/** `make cluster` and `make cluster-down` as a person runs them, and breaks them off. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test, { type ExecutionContext } from 'ava';
import { placesFolder } from '../cluster/cluster-state.ts';
import { leftOf, type Traces, tracesOf } from '../cluster/leftovers.ts';
import { findPrograms } from '../cluster/programs.ts';
import { tearDown } from '../cluster/teardown.ts';
import { eventually } from '../support/eventually.ts';
import { clusterFolder } from './folder.ts';

const run = promisify(execFile);
const program = join(import.meta.dirname, '../../scripts/cluster.ts');
const folder = clusterFolder('ends');
const env = { ...process.env, CLUSTER_FOLDER: folder };

test.before(async (t) => {
  t.timeout(1_800_000, 'the programs may have to be built first');
  await tearDown(folder);
  await findPrograms();
});
test.after.always(() => tearDown(folder));

/** What a start has made by then, in its order. */
const moments: Readonly<Record<string, () => boolean>> = {
  'has hardly begun': () => existsSync(join(folder, 'starter')),
  'has made the bridge': () => existsSync(join(placesFolder(folder), 'control-plane/holder')),
  'starts the control plane': () => existsSync(join(placesFolder(folder), 'control-plane/daemons/etcd')),
  'makes the second node': () => existsSync(join(placesFolder(folder), 'node-2/holder')),
  'starts pods': () => hasPod(),
};

for (const [moment, isReached] of Object.entries(moments)) {
  test.serial(
    `a start that is killed when it ${moment} leaves nothing that cluster-down does not remove`,
    async (t) => {
      const before = await tracesOf(folder);
      const starter = spawn(process.execPath, [program, 'up'], { env, stdio: 'ignore' });
      const ended = once(starter, 'exit');
      await until(isReached);
      starter.kill('SIGKILL');
      await ended;
      const traces = await tracesOf(folder);
      await down();
      assertNothingLeft(t, before, traces);
    },
  );
}

test.serial('cluster-down ends a start that is under way', async (t) => {
  const before = await tracesOf(folder);
  const starter = spawn(process.execPath, [program, 'up'], { env, stdio: 'ignore' });
  const ended = once(starter, 'exit');
  await until(moments['makes the second node']!);
  const traces = await tracesOf(folder);
  await down();
  t.deepEqual(await ended, [null, 'SIGKILL']);
  assertNothingLeft(t, before, traces);
});

test.serial(
  'a teardown that was broken off is finished by the next start, which tells how to use the cluster',
  async (t) => {
    const before = await tracesOf(folder);
    const first = await up();
    t.regex(first.stderr, /Ready after/);
    const old = await tracesOf(folder);
    const ending = spawn(process.execPath, [program, 'down'], { env, stdio: 'ignore' });
    const ended = once(ending, 'exit');
    await until(() => existsSync(join(folder, 'ending')));
    ending.kill('SIGKILL');
    await ended;
    t.true(existsSync(folder));
    const { stdout, stderr } = await up();
    t.regex(stderr, /Removing what an earlier cluster left/);
    const kubeconfig = /export KUBECONFIG=(.+)/.exec(stdout)?.[1] ?? '';
    t.true(existsSync(kubeconfig));
    const enter = /^ {2}node-2 +(nsenter .+)$/m.exec(stdout)?.[1]?.split(' ') ?? [];
    t.is((await run(enter[0]!, [...enter.slice(1), 'hostname'])).stdout, 'node-2\n');
    const again = await up();
    t.false(again.stderr.includes('Starting'), 'it is there already');
    t.is(again.stdout, stdout);
    const traces = await tracesOf(folder);
    await down();
    assertNothingLeft(t, before, traces);
    assertNothingLeft(t, before, old);
  },
);

test.serial(
  'who is not root is told so, with everything else that is lacking, and nothing is made',
  async (t) => {
    const copy = { ...env, CLUSTER_FOLDER: '/tmp/cluster-of-nobody', HOME: '/nonexistent' };
    const args = ['--reuid=65534', '--regid=65534', '--clear-groups', '--', process.execPath, program, 'up'];
    const { stderr } = await t.throwsAsync<Error & { stderr: string }>(run('setpriv', args, { env: copy }));
    t.regex(stderr, /^A cluster cannot be made on this machine:\n {2}- you are not root: /);
    t.false(existsSync('/tmp/cluster-of-nobody'));
  },
);

test.serial('what was tried in vain is said with what the kernel answered', async (t) => {
  // As on a kernel without them: links and rules are refused.
  const without = ['--bounding-set=-net_admin', '--inh-caps=-net_admin'];
  const command = run('setpriv', [...without, '--', process.execPath, program, 'up'], { env });
  const { stderr } = await t.throwsAsync<Error & { stderr: string }>(command);
  t.regex(stderr, /\n {2}- the kernel has no bridge \(CONFIG_BRIDGE\) \(it says: RTNETLINK answers: /);
  t.regex(stderr, /\n {2}- the kernel has no pairs of links \(CONFIG_VETH\) /);
  t.regex(stderr, /\n {2}- iptables has no nat table, /);
  t.false(stderr.includes('overlayfs'));
  t.false(existsSync(folder));
});

test.serial('cluster-down without a cluster says so', async (t) => {
  t.is((await down()).stderr, 'There is no cluster\n');
  t.false(existsSync(folder));
});

function assertNothingLeft(t: ExecutionContext, { machine }: Traces, traces: Traces): void {
  t.deepEqual(leftOf({ ...traces, machine }), []);
}

function up() {
  return run(process.execPath, [program, 'up'], { env });
}

function down() {
  return run(process.execPath, [program, 'down'], { env });
}

function hasPod(): boolean {
  const pods = join(placesFolder(folder), 'node-1/var/log/pods');
  return existsSync(pods) && readdirSync(pods).length > 0;
}

async function until(isReached: () => boolean): Promise<void> {
  await eventually(
    () => {
      if (!isReached()) throw new Error('Not yet');
    },
    { timeout: 120_000, interval: 10 },
  );
}
