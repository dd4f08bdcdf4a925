/** What a wired node costs while nothing happens: the agent as the image has it, with its forwarder, beside real runtimes and mirrors. */
import { readFileSync } from 'node:fs';
import { availableParallelism, loadavg } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import test from 'ava';
import { cpuSecondsOfTree, memoryOf } from '../../bench/process-usage.ts';
import { startAgent } from '../support/node-world/agent.ts';
import { hub, makeNodeWorld, own } from '../support/node-world/node-world.ts';
import { compileProgram } from '../support/node-world/program.ts';
import { differences, timesOf, treeOf } from '../support/node-world/tree.ts';
import { familyOf } from '../support/processes.ts';

/** `NODE_IDLE_SECONDS=600` for a longer look. */
const seconds = Number(process.env['NODE_IDLE_SECONDS'] ?? 60);
/**
 * Of one processor, in percent: agent and nginx. A minute is a hundred and fifty ticks of the clock, and a busy machine makes all of it dearer: other
 * code in the caches of the processor, and two threads on one core.
 */
const cpuLimit = seconds >= 600 ? 0.3 : 0.4;
const busyFactor = 2;
/** MiB of the agent's process. */
const memoryLimit = { anonymous: 35, now: 85 };

test('an idle wired node is written nothing, and costs hardly any processor time and memory', async (t) => {
  t.timeout((seconds + 120) * 1000);
  const node = await makeNodeWorld(t);
  const program = await compileProgram(join(node.world.folder, 'app'));
  const production = { NODE_ENV: 'production', NODE_DISABLE_COMPILE_CACHE: '1' };
  const agents = await Promise.all(
    [hub, own].map((mirror) => startAgent(node, mirror, production, { program })),
  );
  for (const agent of agents) {
    await agent.until(({ complete, forwarder, runtimes }) => {
      const docker = runtimes.find(({ runtime }) => runtime === 'docker');
      return complete && forwarder?.offered === true && docker?.live === true;
    });
  }
  for (const runtime of ['containerd', 'docker', 'podman'] as const)
    for (const name of ['docker.io', 'registry.test']) await node.pull(runtime, `${name}/library/app:1`);
  await agents[0]?.local('/metrics');
  // Idle connections end (a mirror keeps them 20 s) and are counted.
  await delay(22_000);
  const folders = ['/etc', '/var/lib/registry-mirror-operator'].map(node.world.path);
  // The first read after a change notes its time (relatime), which counts as 4096 bytes of whoever reads; and a pass comes each 30 s.
  for (const folder of [...folders, ...agents.map(({ pod }) => pod)]) treeOf(folder);
  const before = {
    files: folders.map(timesOf),
    use: await Promise.all(agents.map(({ process: { pid } }) => useOf(pid))),
  };
  await delay(seconds * 1000);
  const after = {
    files: folders.map(timesOf),
    use: await Promise.all(agents.map(({ process: { pid } }) => useOf(pid))),
  };
  const isBusy = loadavg()[0]! > availableParallelism();
  for (const [index, files] of before.files.entries())
    t.deepEqual(differences(files, after.files[index]!), {});
  for (const [
    index,
    {
      process: { pid },
    },
  ] of agents.entries()) {
    const [one, other] = [before.use[index]!, after.use[index]!];
    const percent = ((other.cpu - one.cpu) / seconds) * 100;
    const memory = await memoryOf(pid);
    t.log(
      `processor ${percent.toFixed(2)} %, written ${other.written - one.written} bytes, ${JSON.stringify(memory)} MiB`,
    );
    t.is(other.written - one.written, 0);
    t.true(percent < cpuLimit * (isBusy ? busyFactor : 1), `${percent} %, busy: ${isBusy}`);
    t.true(
      memory.anonymous <= memoryLimit.anonymous && memory.now <= memoryLimit.now,
      JSON.stringify(memory),
    );
  }
});

/** Processor seconds, and bytes sent to disks, of the agent and all below it. */
async function useOf(pid: number): Promise<{ cpu: number; written: number }> {
  const pids = await familyOf(pid);
  const written = pids.map((each) =>
    Number(/^write_bytes: (\d+)$/m.exec(readFileSync(`/proc/${each}/io`, 'utf8'))?.[1]),
  );
  return { cpu: await cpuSecondsOfTree(pid), written: written.reduce((sum, each) => sum + each, 0) };
}
