/** `bin/registry-mirror-operator standalone` as a user runs it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { assertNoSecretsIn } from './secrets.ts';

export const executable = join(import.meta.dirname, '../../bin/registry-mirror-operator');

export interface Ready {
  readonly name: string;
  readonly url: string;
  readonly masquerade: string;
}

export interface RunningStandalone {
  readonly process: ChildProcess;
  /** Every line on standard output so far. */
  readonly lines: string[];
  /** Everything on standard error so far. */
  readonly errors: () => string;
  /** The mirrors it has announced. */
  readonly ready: () => Ready[];
  /** Resolves with the exit code, or the signal's name. */
  readonly ended: Promise<number | string>;
}

/** Starts it with `--port 0`; ends it with the test. */
export function runStandalone(t: ExecutionContext, args: readonly string[]): RunningStandalone {
  // Ends with us, even when the test run is killed.
  const command = ['--pdeathsig', 'TERM', '--', executable, 'standalone', '--port', '0', ...args];
  const child = spawn('setpriv', command, { stdio: ['ignore', 'pipe', 'pipe'] });
  const lines: string[] = [];
  let errors = '';
  let rest = '';
  child.stdout.on('data', (data: Buffer) => {
    const parts = (rest + data.toString()).split('\n');
    rest = parts.pop() ?? '';
    lines.push(...parts);
  });
  child.stderr.on('data', (data: Buffer) => (errors += data.toString()));
  const ended = once(child, 'close').then(([code, signal]) => (code ?? signal) as number | string);
  t.teardown(async () => {
    child.kill('SIGTERM');
    await ended;
    assertNoSecretsIn('output of standalone', errors + lines.join(''));
  });
  return { process: child, lines, errors: () => errors, ready: () => lines.flatMap(parseReady), ended };
}

function parseReady(line: string): Ready[] {
  const match = /^ready (\S+) (https:\/\/\S+) (\S+)$/.exec(line);
  return match ? [{ name: match[1] ?? '', url: match[2] ?? '', masquerade: match[3] ?? '' }] : [];
}
