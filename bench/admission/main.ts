/**
 * `make bench-admission`: what rewriting costs. Part `alone` is the webhook beside a bare server; part `cluster` is a real API server that creates
 * pods. Nobody imports this file; bench/ may import test and the parts of src that the run is about.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { untilInterrupted } from '../until-interrupted.ts';
import { measureAlone } from './alone.ts';
import { measureCluster } from './cluster.ts';
import { clusterReport, clusterRows, policyShare } from './cluster-figures.ts';
import { isAsExpected, leastRatio, report, rowsOf } from './figures.ts';
import { type Options, type Part, parseOptions, usage } from './options.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const resultFile = `${root}bench/results/admission.json`;

/** What a part has found: its figures, and for people. */
interface PartResult {
  readonly json: unknown;
  readonly text: string;
}

type Measure = (context: {
  readonly options: Options;
  readonly folder: string;
  readonly progress: (message: string) => void;
  readonly signal: AbortSignal;
}) => Promise<PartResult>;

const measures: Readonly<Record<Part, Measure>> = { alone, cluster };

const interrupted = untilInterrupted();

await main(process.argv.slice(2)).catch((error: Error) => {
  const cause = error.cause === undefined ? '' : `${error.cause}\n`;
  process.stderr.write(interrupted.aborted ? 'Interrupted\n' : `${error.stack}\n${cause}`);
  process.exitCode = 1;
});

async function main(args: readonly string[]): Promise<void> {
  if (args.includes('--help')) {
    process.stdout.write(`${usage}\n`);
    return;
  }
  const options = parseOptions(args);
  const loadBefore = loadavg()[0] ?? 0;
  const progress = (message: string) => process.stderr.write(`${message}\n`);
  const results: [Part, PartResult][] = [];
  for (const part of options.parts) {
    const folder = mkdtempSync(join(tmpdir(), 'bench-admission-'));
    try {
      results.push([part, await measures[part]({ options, folder, progress, signal: interrupted })]);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }
  publish(options, results, loadBefore);
}

async function alone({ options, ...rest }: Parameters<Measure>[0]): Promise<PartResult> {
  const measurements = await measureAlone({ ...options, ...rest });
  const rows = rowsOf(measurements);
  const missed = rows.filter((row) => !isAsExpected(row)).length;
  const expected = `Expected: at least ${leastRatio} of the bare server's requests/s: ${missed === 0 ? 'met' : 'NOT MET'}`;
  return { json: { leastRatio, rows, measurements }, text: `${report(rows)}\n${expected}` };
}

async function cluster({ options, ...rest }: Parameters<Measure>[0]): Promise<PartResult> {
  const measurements = await measureCluster({ ...options, ...rest });
  const rows = clusterRows(measurements);
  const shares = {
    rewritten: policyShare(measurements, 'rewritten'),
    unchanged: policyShare(measurements, 'unchanged'),
  };
  const told = (share: number) => `${share.toFixed(2)} of it, ${share < 1 ? 'met' : 'NOT MET'}`;
  const expected = `Expected: the policy takes less CPU per pod than the webhook's path: rewritten ${told(shares.rewritten)}; unchanged ${told(shares.unchanged)}`;
  return { json: { rows, shares, measurements }, text: `${clusterReport(rows)}\n${expected}` };
}

function publish(
  { json, rounds, seconds }: Options,
  results: [Part, PartResult][],
  loadBefore: number,
): void {
  const machine = { cpu: cpus()[0]?.model.trim() ?? 'unknown', cores: availableParallelism() };
  const parts = Object.fromEntries(results.map(([part, result]) => [part, result.json]));
  const text = `${results.map(([, result]) => result.text).join('\n\n')}
Medians of ${rounds} rounds of ${seconds} s; ${machine.cores} cores of ${machine.cpu}, load before ${loadBefore.toFixed(1)}\n`;
  const result = `${JSON.stringify({ bench: 'admission', finished: new Date().toISOString(), machine, node: process.version, rounds, seconds, loadBefore, ...parts }, null, 2)}\n`;
  if (json) {
    process.stderr.write(text);
    process.stdout.write(result);
    return;
  }
  mkdirSync(dirname(resultFile), { recursive: true });
  writeFileSync(resultFile, result);
  process.stdout.write(`${text}Wrote ${relative(process.cwd(), resultFile)}\n`);
}
