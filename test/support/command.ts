/** One run of `bin/registry-mirror-operator` as a person or a container runtime starts it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { ExecutionContext } from 'ava';
import { inPod, type PodAccess } from './pod-access.ts';
import { programEnvironment } from './program-environment.ts';

const executable = join(import.meta.dirname, '../../bin/registry-mirror-operator');

export interface RunningCommand {
  readonly child: ChildProcess & {
    readonly stdin: NonNullable<ChildProcess['stdin']>;
    readonly stdout: NonNullable<ChildProcess['stdout']>;
  };
  /** Resolves with all it has written, and the exit code or the signal's name. */
  readonly ended: Promise<{ code: number | string; stdout: string; stderr: string }>;
}

/** Starts it with three pipes, with `access` as a pod's command; ends it with the test. Only `PATH` and `env` are its environment. */
export function startCommand(
  t: Pick<ExecutionContext, 'teardown'>,
  args: readonly string[],
  environment: Record<string, string> = {},
  access?: PodAccess,
): RunningCommand {
  const env = { ...programEnvironment, HOME: '/nonexistent', ...environment };
  const command = inPod(access, { program: executable, args, env });
  // Ends with us, even when the test run is killed.
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', command.program, ...command.args], {
    env: command.env,
  });
  child.stdin.on('error', () => undefined);
  const ended = Promise.all([once(child, 'close'), text(child.stdout), text(child.stderr)]).then(
    ([[code, signal], stdout, stderr]) => ({ code: (code ?? signal) as number | string, stdout, stderr }),
  );
  t.teardown(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  return { child, ended };
}
