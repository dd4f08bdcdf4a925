/**
 * `make bench-cache`: this mirror with one and with two replicas beside distribution's pull-through cache and a static file,
 * in one run on one machine, with the same upstream, which wants tokens and redirects to a second origin. Nobody imports this
 * file; bench/ may import test/support and the pure parts of src.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expectationsOf, ownFailures } from './expectations.ts';
import { type Measurement, summaryOf } from './figures.ts';
import { foldersInside, runInside, settleInside } from './namespace.ts';
import { type Options, parseOptions, usage } from './options.ts';
import { report } from './report.ts';
import { run } from './run.ts';
import { type Scenario, scenariosOf } from './scenarios.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const resultFile = `${root}bench/results/cache.json`;

process.exitCode = await main(process.argv.slice(2)).catch((error: Error) => {
  process.stderr.write(`${error.name === 'AbortError' ? 'Interrupted' : error.stack}\n`);
  return 1;
});

/** Returns the exit code: missed expectations are figures, a failed pull of ours is a failure. */
async function main(args: readonly string[]): Promise<number> {
  if (args.includes('--help')) {
    process.stdout.write(`${usage}\n`);
    return 0;
  }
  const options = parseOptions(args);
  const scenarios = scenariosOf(options);
  const folders = foldersInside();
  if (folders !== undefined) return measureAll(options, scenarios, folders);
  const made = [mkdtempSync(join(tmpdir(), 'bench-cache-')), mkdtempSync('/dev/shm/bench-cache-')];
  try {
    return await runInside(args, made);
  } finally {
    for (const dir of made) rmSync(dir, { recursive: true, force: true });
  }
}

async function measureAll(
  options: Options,
  scenarios: readonly Scenario[],
  [dir = '', memoryDir = '']: readonly string[],
): Promise<number> {
  const signal = settleInside();
  const startedAt = performance.now();
  const loadBefore = loadavg()[0] ?? 0;
  const progress = (message: string) => {
    const seconds = ((performance.now() - startedAt) / 1000).toFixed(0);
    process.stderr.write(`${seconds.padStart(4)} s  ${message}\n`);
  };
  const executable = options.operator ?? `${root}bin/registry-mirror-operator`;
  const all = await run({ ...options, scenarios, executable, dir, memoryDir, progress, signal });
  const seconds = Math.round((performance.now() - startedAt) / 1000);
  publish(options, scenarios, all, { seconds, loadBefore });
  return ownFailures(all) === 0 ? 0 : 1;
}

function publish(
  options: Options,
  scenarios: readonly Scenario[],
  all: readonly Measurement[],
  run: { seconds: number; loadBefore: number },
): void {
  const json = `${JSON.stringify(resultOf(scenarios, all, run), null, 2)}\n`;
  const machine = `${availableParallelism()} cores of ${cpus()[0]?.model.trim()}`;
  const text = `${report(scenarios, all)}\n${run.seconds} s on ${machine}, load before ${run.loadBefore.toFixed(1)}\n`;
  if (options.json) {
    process.stderr.write(text);
    process.stdout.write(json);
    return;
  }
  mkdirSync(dirname(resultFile), { recursive: true });
  writeFileSync(resultFile, json);
  process.stdout.write(`${text}Wrote ${relative(process.cwd(), resultFile)}\n`);
}

function resultOf(
  scenarios: readonly Scenario[],
  all: readonly Measurement[],
  run: { seconds: number; loadBefore: number },
) {
  return {
    bench: 'cache',
    finished: new Date().toISOString(),
    machine: { cpu: cpus()[0]?.model.trim() ?? 'unknown', cores: availableParallelism() },
    node: process.version,
    ...run,
    expectations: expectationsOf(all),
    scenarios: scenarios.map((scenario) => ({ ...scenario, contenders: summaries(scenario, all) })),
    measurements: all,
  };
}

function summaries({ name }: Scenario, all: readonly Measurement[]) {
  const own = Map.groupBy(
    all.filter(({ scenario }) => scenario === name),
    ({ contender }) => contender,
  );
  return Object.fromEntries([...own].map(([contender, rounds]) => [contender, summaryOf(rounds)]));
}
