/**
 * `make bench-reconcile`: how long the operator takes for 1, 50 and 200 mirrors on a real API server, and what that costs
 * in requests and memory. Each number of mirrors gets an API server of its own. Nobody imports this file; bench/ may
 * import test/support and the pure parts of src. Needs no controllers: nothing becomes ready, so every figure is ours.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { availableParallelism, cpus } from 'node:os';
import { dirname, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { untilInterrupted } from '../until-interrupted.ts';
import { expectationsOf } from './expectations.ts';
import type { Figures } from './figures.ts';
import { type Options, parseOptions, usage } from './options.ts';
import { report } from './report.ts';
import { run } from './run.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const resultFile = `${root}bench/results/reconcile.json`;

const interrupted = untilInterrupted();

await main(process.argv.slice(2)).catch((error: Error) => {
  process.stderr.write(`${interrupted.aborted ? 'Interrupted' : error.message}\n`);
  process.exitCode = 1;
});

async function main(args: readonly string[]): Promise<void> {
  if (args.includes('--help')) {
    process.stdout.write(`${usage}\n`);
    return;
  }
  const options = parseOptions(args);
  await publish(options, await measureAll(options, interrupted));
}

async function measureAll(
  options: Options,
  signal: AbortSignal,
): Promise<Array<Figures & { script: string }>> {
  const runs = [];
  for (const mirrors of options.mirrors) {
    const progress = (message: string) => process.stderr.write(`${mirrors} mirrors: ${message}\n`);
    runs.push(
      await run({
        mirrors,
        idleSeconds: options.idleSeconds,
        executable: options.operator ?? `${root}bin/registry-mirror-operator`,
        crd: `${root}crds/registrymirrors.k8s.osp.tech.yaml`,
        path: process.env['PATH'] ?? '',
        progress,
        signal,
      }),
    );
  }
  return runs;
}

async function publish(options: Options, runs: ReadonlyArray<Figures & { script: string }>): Promise<void> {
  const json = `${JSON.stringify(resultOf(runs), null, 2)}\n`;
  if (options.json) {
    process.stderr.write(report(runs));
    process.stdout.write(json);
    return;
  }
  await mkdir(dirname(resultFile), { recursive: true });
  await writeFile(resultFile, json);
  process.stdout.write(`${report(runs)}\nWrote ${relative(process.cwd(), resultFile)}\n`);
}

function resultOf(runs: ReadonlyArray<Figures & { script: string }>) {
  return {
    bench: 'reconcile',
    finished: new Date().toISOString(),
    machine: { cpu: cpus()[0]?.model.trim() ?? 'unknown', cores: availableParallelism() },
    node: process.version,
    // The last two parts tell the sources from `dist`, and nothing about this machine's folders.
    operator: runs[0]?.script.split('/').slice(-2).join('/'),
    expectations: expectationsOf(runs),
    runs: runs.map(({ script: _, ...figures }) => figures),
  };
}
