/** `bin/registry-mirror-operator` as a child process that runs as its pod does. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { inPod, type PodAccess } from './pod-access.ts';
import { programEnvironment } from './program-environment.ts';

const executable = fileURLToPath(new URL('../../bin/registry-mirror-operator', import.meta.url));

/** Killed when the test process ends without having done it. */
const running = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

export interface OperatorProcess {
  readonly pid: number;
  /** Everything it has written so far. */
  log(): string;
  /** True until it has ended. */
  running(): boolean;
  /** Resolves with exit code or signal. */
  readonly ended: Promise<number | string>;
  kill(): Promise<void>;
  /** SIGTERM; resolves when it has ended. */
  stop(): Promise<number | string>;
}

/**
 * Starts an operator, or the command named by `args`; `environment` is added to what every one gets. Without `access` it says where the API server
 * is.
 */
export function startOperator(
  access: PodAccess | undefined,
  environment: Record<string, string> = {},
  args: readonly string[] = [],
): OperatorProcess {
  const env = {
    ...programEnvironment,
    HOME: '/nonexistent',
    OPERATOR_IMAGE: 'registry.example/operator:1',
    HTTP_PORT: '0',
    LOG_LEVEL: 'debug',
    ...environment,
  };
  const command = inPod(access, { program: executable, args, env });
  const child = spawn(command.program, command.args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: command.env,
  });
  const output: string[] = [];
  child.stdout.on('data', (chunk: Buffer) => output.push(chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => output.push(chunk.toString()));
  const ended = once(child, 'exit').then(([code, signal]) => (code ?? signal) as number | string);
  const end = async (signal: NodeJS.Signals) => {
    child.kill(signal);
    return ended;
  };
  running.add(child);
  child.once('exit', () => running.delete(child));
  return {
    pid: pidOf(child),
    log: () => output.join(''),
    running: () => child.exitCode === null && child.signalCode === null,
    ended,
    kill: async () => void (await end('SIGKILL')),
    stop: () => end('SIGTERM'),
  };
}

function pidOf(child: ChildProcess): number {
  if (child.pid === undefined) throw new Error(`${executable} could not be started`);
  return child.pid;
}
