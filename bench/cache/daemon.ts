/** A server of the benchmark: started, known to answer, measured, stopped. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { openSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { waitFor } from '../wait-for.ts';

export interface Command {
  readonly program: string;
  readonly args: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly logFile: string;
  /** Where it accepts connections once it has started. */
  readonly answers: { readonly port: number; readonly host: string } | { readonly path: string };
}

export interface Daemon {
  readonly pid: number;
  stop(): Promise<void>;
}

/** Resolves when it accepts connections; rejects with its last words when it ends before. */
export async function startDaemon(command: Command, signal: AbortSignal): Promise<Daemon> {
  const log = openSync(command.logFile, 'a');
  const child = spawn(command.program, command.args, {
    stdio: ['ignore', log, log],
    env: { PATH: process.env['PATH'] ?? '', ...command.environment },
  });
  const spawned = Promise.withResolvers<void>();
  child.on('spawn', spawned.resolve).on('error', spawned.reject);
  await spawned.promise;
  const missing = async () => {
    if (hasEnded(child)) throw new Error(`${command.program} ended: ${lastWords(command.logFile)}`);
    return (await accepts(command.answers)) ? undefined : 'no connection is accepted';
  };
  await waitFor(`${command.program} answers`, missing, { seconds: 30, signal });
  return { pid: child.pid ?? 0, stop: () => stop(child) };
}

async function stop(child: ChildProcess): Promise<void> {
  if (hasEnded(child)) return;
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  const late = setTimeout(() => child.kill('SIGKILL'), 5_000);
  await ended;
  clearTimeout(late);
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

async function accepts(place: Command['answers']): Promise<boolean> {
  const socket = connect(place);
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

function lastWords(logFile: string): string {
  return readFileSync(logFile, 'utf8').slice(-2000).trim();
}
