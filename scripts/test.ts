/**
 * `make test`: builds the Go programs of the tests if there are none yet, runs every suite and ends with `N passed, N failed`.
 * Arguments: `e2e` for the scenarios of test/e2e, or patterns of test files, instead of all of them.
 */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { clusterFault } from './cluster-fault.ts';
import { type Counts, countTap, emptyCounts, failureLines } from './tap.ts';

/** Also where nothing but a cluster can show it. */
const quick = 'test/e2e/quick.test.ts';
/**
 * Tests wait for timers and for programs, so more of their files run at once than there are cores. What measures time has only `node-idle`
 * beside it, which looks on for two minutes how little happens.
 */
const everything = [
  ['--concurrency', '5', 'test/unit/**/*.test.ts'],
  ['--concurrency', '3', 'test/integration/**/*.test.ts'],
  ['--concurrency', '2', 'test/timed/**/*.test.ts'],
  ['--concurrency', '1', '--timeout', '10m', quick],
];
/** Scenarios wait for kubelets most of the time, so that two clusters have room on two cores. In these the time counts. */
const measured = 'test/e2e/{cluster,herd}.test.ts';
const scenarios = [
  ['--concurrency', '1', '--timeout', '10m', measured],
  ['--concurrency', '2', '--timeout', '10m', `!${measured}`, 'test/e2e/**/*.test.ts'],
];
const started = Date.now();

for (const program of ['kubernetes', 'distribution', 'containerd', 'kustomize', 'helm', 'prometheus'])
  await run(`test/${program}/build`, []);
const counts = emptyCounts();
const failures: string[] = [];
for (const suite of await suites()) await runSuite(suite, counts);
// Once more at the end, where they are looked for: what a test failed with is thousands of lines above.
if (failures.length > 0) console.log(['', 'Failed:', ...failures, ''].join('\n'));
console.log(`Took ${Math.round((Date.now() - started) / 1000)} s`);
const skipped = counts.skipped > 0 ? `, ${counts.skipped} skipped` : '';
console.log(`${counts.passed} passed, ${counts.failed} failed${skipped}`);
process.exitCode = counts.failed === 0 && counts.passed > 0 ? 0 : 1;

/** The cluster's programs take ten to twenty minutes to build: who has not built them (`make e2e`) is told what is left out. */
async function suites(): Promise<string[][]> {
  const args = process.argv.slice(2);
  if (args[0] === 'e2e') return scenarios;
  if (args.length > 0) return [args];
  const fault = await clusterFault();
  if (fault === undefined) return everything;
  console.log(`Left out: ${quick}. ${fault}`);
  return everything.filter((suite) => !suite.includes(quick));
}

/** Runs ava on files and adds to `total`; a crash of ava itself counts as a failure. */
async function runSuite(suite: readonly string[], total: Counts): Promise<void> {
  const began = Date.now();
  console.log(`Running ${suite.at(-1)}`);
  const child = spawn('ava', ['--tap', ...suite], { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = new Promise<number | null>((resolve) => child.on('close', resolve));
  const before = total.failed;
  const ofFailure = failureLines();
  for await (const line of createInterface({ input: child.stdout })) {
    if (ofFailure(line)) failures.push(line);
    if (countTap(line, total)) console.log(line);
  }
  const code = await ended;
  console.log(`${suite.at(-1)} took ${Math.round((Date.now() - began) / 1000)} s`);
  if (code !== 0 && total.failed === before) {
    const crash = `not ok - ava ended with code ${code} in ${suite.at(-1)}`;
    console.log(crash);
    failures.push(crash);
    total.failed += 1;
  }
}

async function run(command: string, args: readonly string[]): Promise<void> {
  const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'inherit'] });
  const code = await new Promise((resolve) => child.on('close', resolve));
  if (code !== 0) throw new Error(`${command} ended with code ${code}`);
}
