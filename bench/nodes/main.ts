/**
 * `make bench-nodes`: how long one image takes each runtime when all is well with the mirror and when it is not, wired by us, wired to the
 * Service's address by hand, and not wired. Nobody imports this file; bench/ may import test and the parts of src that the run is about.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { containerdFolder } from '../../test/containerd/program.ts';
import { foldersInside, runInside, settleInside } from '../cache/namespace.ts';
import { allowedExtra, type Measurement, report, rowsOf } from './figures.ts';
import { measure } from './measure.ts';
import { type Options, parseOptions, usage } from './options.ts';
import { chosen, type Scenario } from './scenarios.ts';
import { makeWorld } from './world.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const resultFile = `${root}bench/results/nodes.json`;

process.exitCode = await main(process.argv.slice(2)).catch((error: Error) => {
  process.stderr.write(`${error.name === 'AbortError' ? 'Interrupted' : error.stack}\n`);
  return 1;
});

/** Returns the exit code: missed expectations are figures, a pull that fails with our wiring or without one is a failure. */
async function main(args: readonly string[]): Promise<number> {
  if (args.includes('--help')) {
    process.stdout.write(`${usage}\n`);
    return 0;
  }
  const options = parseOptions(args);
  const scenarios = chosen(options.only);
  const [dir] = foldersInside() ?? [];
  if (dir !== undefined) return measureAll(options, scenarios, dir);
  // Where there is a network to build it with.
  await containerdFolder();
  const made = mkdtempSync(join(tmpdir(), 'bn-'));
  try {
    return await runInside(args, [made]);
  } finally {
    rmSync(made, { recursive: true, force: true });
  }
}

async function measureAll(options: Options, scenarios: readonly Scenario[], dir: string): Promise<number> {
  const signal = settleInside();
  const startedAt = performance.now();
  const loadBefore = loadavg()[0] ?? 0;
  const seconds = () => Math.round((performance.now() - startedAt) / 1000);
  const progress = (message: string) =>
    process.stderr.write(`${String(seconds()).padStart(4)} s  ${message}\n`);
  const ends: (() => unknown)[] = [];
  const all: Measurement[] = [];
  try {
    const world = await makeWorld(dir, (end) => void ends.unshift(end));
    await warmUp();
    for (const scenario of scenarios)
      all.push(...(await measure(world, scenario, { ...options, progress, signal })));

    /** Once everything everywhere: the mirror has the image, and every program has been read from the disk. */
    async function warmUp(): Promise<void> {
      const first = { name: '', title: 'warm-up', service: 'healthy' } as const;
      const taken = await measure(world, first, { ...options, rounds: 1, progress, signal });
      const lie = taken.find(
        ({ wiring, served, failure }) => failure || (wiring === 'none') !== (served === 0),
      );
      if (lie !== undefined) throw new Error(`Not wired as it should be: ${JSON.stringify(lie)}`);
    }
  } finally {
    for (const end of ends) await end();
  }
  publish(options, scenarios, all, { seconds: seconds(), loadBefore });
  return rowsOf(all).every(({ failures }) => failures.none + failures.ours === 0) ? 0 : 1;
}

function publish(
  { json, rounds, limit }: Options,
  scenarios: readonly Scenario[],
  all: readonly Measurement[],
  run: { seconds: number; loadBefore: number },
): void {
  const rows = rowsOf(all);
  const machine = { cpu: cpus()[0]?.model.trim() ?? 'unknown', cores: availableParallelism() };
  const table = report(rows, new Map(scenarios.map(({ name, title }) => [name, title])));
  const text = `${table}\nSeconds, median of ${rounds}; given up after ${limit} s. ${run.seconds} s on ${machine.cores} cores of ${machine.cpu}, load before ${run.loadBefore.toFixed(1)}\n`;
  const result = `${JSON.stringify({ bench: 'nodes', finished: new Date().toISOString(), machine, node: process.version, rounds, limit, ...run, allowedExtra, rows, measurements: all }, null, 2)}\n`;
  if (json) {
    process.stderr.write(text);
    process.stdout.write(result);
    return;
  }
  mkdirSync(dirname(resultFile), { recursive: true });
  writeFileSync(resultFile, result);
  process.stdout.write(`${text}Wrote ${relative(process.cwd(), resultFile)}\n`);
}
