/** A node that is not as it should be: what agents change then, what they say of it, and that what is possible goes on. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import type { MirrorOnNode } from '../../src/api/node-report.ts';
import { eventually } from '../support/eventually.ts';
import { restoreAll, startAgent, type WorldAgent } from '../support/node-world/agent.ts';
import { hub, makeNodeWorld, type NodeWorld, own } from '../support/node-world/node-world.ts';
import { differences, treeOf } from '../support/node-world/tree.ts';

const ends: (() => unknown)[] = [];
const often = { SECONDS_BETWEEN_STREAMS: '1' };
const stateFolder = '/var/lib/registry-mirror-operator';
let node: NodeWorld;
let before: Record<string, string>;

test.before(async () => {
  node = await makeNodeWorld({ teardown: (end) => void ends.unshift(end) });
  before = etc();
});

test.after.always(async () => {
  for (const end of ends) await end();
});

function etc(): Record<string, string> {
  return treeOf(node.world.path('/etc'));
}

/** Starts an agent; in the end it is gone and the node as it was. */
async function start(t: ExecutionContext, mirror = own, label = mirror.name): Promise<WorldAgent> {
  const agent = await startAgent(node, mirror, often, { label });
  t.teardown(async () => {
    await agent.process.stop();
    await restoreAll(node.world);
  });
  return agent;
}

function shell(script: string): Promise<string> {
  return node.world.run(['sh', '-ec', script]);
}

function reasons({ findings }: MirrorOnNode): string[] {
  return [...new Set(findings.map(({ reason }) => reason))];
}

function runtime({ runtimes }: MirrorOnNode, name: string) {
  return runtimes.find((each) => each.runtime === name);
}

test.serial(
  'a read-only /etc is not changed, and is what the status says; the mirror is offered all the same',
  async (t) => {
    const { hostRoot } = node.world;
    const again = () => shell(`mount -o remount,bind,rw ${hostRoot}/etc`);
    await shell(`mount -o remount,bind,ro ${hostRoot}/etc`);
    t.teardown(again);
    const agent = await start(t);
    const report = await agent.until(({ forwarder }) => forwarder?.offered === true);
    const [mirror] = report.mirrors;
    t.false(mirror?.complete);
    // No line without the trust that could not be written.
    t.deepEqual(reasons(mirror!).sort(), ['NotTrusted', 'WriteFailed']);
    t.regex(JSON.stringify(mirror?.findings), /EROFS|read-only/);
    t.like(runtime(mirror!, 'containerd'), { wired: false, live: false, reason: 'WriteFailed' });
    t.deepEqual(differences(before, etc()), {});
    await node.pull('containerd', 'registry.test/library/app:1');
    // Folders that the agent noted and did not come to make are not in its way.
    await agent.process.stop();
    await restoreAll(node.world);
    t.deepEqual(differences(before, etc()), {});
  },
);

test.serial(
  'a folder without room stops its runtime alone, holds no half file, and is wired once there is room',
  async (t) => {
    const folder = '/etc/containerd/certs.d';
    await shell(
      `mkdir ${folder}; mount -t tmpfs -o size=4k tmpfs ${folder}; head -c 4096 /dev/zero > ${folder}/filler`,
    );
    t.teardown(async () => {
      await shell(`umount ${folder}; rmdir ${folder}`);
    });
    const agent = await start(t);
    const report = await agent.until((mirror) => runtime(mirror, 'crio')?.wired === true);
    const [mirror] = report.mirrors;
    t.like(runtime(mirror!, 'containerd'), { wired: false, reason: 'WriteFailed' });
    t.true(runtime(mirror!, 'docker')?.wired);
    t.false(mirror?.complete);
    t.regex(JSON.stringify(mirror?.findings), /ENOSPC|no space/i);
    const files = (await shell(`find ${folder} -type f`)).trim();
    t.is(files, `${folder}/filler`);
    for (const client of ['containerd', 'podman'] as const)
      await node.pull(client, 'registry.test/library/app:1');
    await shell(`mount -o remount,size=1m ${folder}; rm ${folder}/filler`);
    await agent.until(({ complete }) => complete);
    t.regex(await shell(`cat ${folder}/registry.test/hosts.toml`), /127\.0\.0\.1:30101/);
  },
);

test.serial('without room for the journal nothing is changed', async (t) => {
  await shell(
    `mkdir -p ${stateFolder}; mount -t tmpfs -o size=4k,mode=700 tmpfs ${stateFolder}; head -c 4096 /dev/zero > ${stateFolder}/filler`,
  );
  t.teardown(() => shell(`umount ${stateFolder}`));
  const agent = await start(t);
  const report = await agent.until(({ forwarder }) => forwarder?.offered === true);
  t.false(report.mirrors[0]?.complete);
  t.true(reasons(report.mirrors[0]!).includes('WriteFailed'));
  t.deepEqual(differences(before, etc()), {});
  await shell(`mount -o remount,size=1m ${stateFolder}; rm ${stateFolder}/filler`);
  await agent.until(({ complete }) => complete);
});

for (const [what, folder, inodes] of [
  ['made', '', 1],
  ['opened', '/mirror-hostess', 2],
] as const) {
  test.serial(
    `where the lock cannot be ${what} nothing is changed, the agent says so and is ready, and it wires once it can`,
    async (t) => {
      const locks = `${node.world.hostRoot}/run/lock`;
      await shell(`mount -t tmpfs -o nr_inodes=${inodes} tmpfs ${locks}; mkdir -p ${locks}${folder}`);
      t.teardown(() => shell(`umount ${locks}`));
      const agent = await start(t);
      const report = await agent.until(({ forwarder }) => forwarder?.offered === true);
      const [mirror] = report.mirrors;
      const finding = mirror?.findings.find(({ blocks }) => blocks);
      t.like(finding, { reason: 'WriteFailed' });
      t.regex(`${finding?.path}`, /^\/(?:run|var)\/lock\/mirror-hostess/);
      t.regex(`${finding?.message}`, /no space left/i);
      t.like(runtime(mirror!, 'containerd'), { wired: false, live: false, reason: 'WriteFailed' });
      t.regex(readFileSync(join(agent.pod, 'run/ready'), 'utf8'), /"complete":false.*WriteFailed/);
      t.deepEqual(differences(before, etc()), {});
      await shell(`mount -o remount,nr_inodes=100 ${locks}`);
      await agent.until(({ complete }) => complete);
    },
  );
}

test.serial(
  'of two agents of one mirror the second waits for the port; when the first ends it takes over',
  async (t) => {
    const first = await start(t);
    await first.until(({ complete, forwarder }) => complete && forwarder?.offered === true);
    const wired = etc();
    const second = await start(t, own, 'second');
    const said = async () => JSON.parse(await second.local()).mirrors[0] as MirrorOnNode;
    await eventually(async () => assert.equal((await said()).forwarder?.reason, 'OfferedByOther'));
    await delay(3000);
    t.deepEqual(differences(wired, etc()), {});
    await node.reachable(own.port);
    await node.pull('containerd', 'registry.test/library/app:1');
    await first.process.stop('SIGKILL');
    await eventually(async () => assert.equal((await said()).forwarder?.offered, true));
    await eventually(() => second.status());
    t.deepEqual(differences(wired, etc()), {});
  },
);

test.serial(
  'nothing is led to a port that another program has, which is said; free again it is used',
  async (t) => {
    // It takes connections and never answers: whoever asks it waits for ever.
    const program = `require('node:net').createServer(() => {}).listen(${hub.port}, '127.0.0.1')`;
    const squatter = await node.world.start('squatter', [process.execPath, '-e', program]);
    await eventually(() => node.reachable(hub.port));
    const agent = await start(t, hub);
    const report = await agent.until((mirror) => runtime(mirror, 'containerd')?.reason === 'PortTaken');
    t.false(report.mirrors[0]?.complete);
    t.true(reasons(report.mirrors[0]!).includes('PortTaken'));
    const isLed = (path: string) => /^(containers|containerd|docker\/daemon\.json)/.test(path);
    await eventually(() => assert.deepEqual(Object.keys(differences(before, etc())).filter(isLed), []));
    t.regex(readFileSync(node.world.path('/etc/hosts'), 'utf8'), /mirror-docker\.io/);
    for (const client of ['containerd', 'docker', 'podman', 'skopeo'] as const)
      t.true((await node.pull(client, 'docker.io/library/app:1')) < 5, client);
    await squatter.stop();
    await agent.until(({ complete, forwarder }) => complete && forwarder?.offered === true);
    const hosts = () => readFileSync(node.world.path('/etc/containerd/certs.d/docker.io/hosts.toml'), 'utf8');
    await eventually(() => assert.match(hosts(), /127\.0\.0\.1:30100/));
  },
);

test.serial(
  'agents of two mirrors that are killed over and over leave no half file and no lock',
  async (t) => {
    for (let round = 0; round < 3; round += 1) {
      const agents = await Promise.all([hub, own].map((mirror) => startAgent(node, mirror, often)));
      await delay(300 + 300 * round);
      await Promise.all(agents.map(({ process }) => process.stop()));
    }
    const agents = [await start(t, hub), await start(t, own)];
    for (const agent of agents) await agent.until(({ complete }) => complete);
    t.deepEqual(leftovers(), []);
    await Promise.all(agents.map(({ process }) => process.stop()));
    await restoreAll(node.world);
    t.deepEqual(differences(before, etc()), {});
  },
);

function leftovers(): string[] {
  const names = ['/etc', stateFolder].flatMap((path) =>
    readdirSync(node.world.path(path), { recursive: true, encoding: 'utf8' }),
  );
  return names.filter((name) => /\.(tmp|redo)$/.test(name));
}
