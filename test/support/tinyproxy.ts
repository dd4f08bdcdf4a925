/** Debian's tinyproxy, started for one test on a port of 127.0.0.1. What it passes on comes from `from`. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { freePort } from '../kubernetes/free-ports.ts';
import { eventually } from './eventually.ts';

export interface Tinyproxy {
  readonly url: string;
  readonly host: string;
  /** The address its own connections come from. */
  readonly from: string;
}

/** `lines` are added to its configuration (`ConnectPort 443`, `BasicAuth user password`). */
export async function startTinyproxy(t: ExecutionContext, lines: readonly string[] = []): Promise<Tinyproxy> {
  const dir = mkdtempSync(join(tmpdir(), 'tinyproxy-'));
  const port = await freePort();
  const from = '127.0.0.9';
  const configFile = join(dir, 'tinyproxy.conf');
  const own = [`Port ${port}`, 'Listen 127.0.0.1', `Bind ${from}`, 'Timeout 60', 'MaxClients 100'];
  writeFileSync(configFile, [...own, `LogFile "${join(dir, 'log')}"`, ...lines, ''].join('\n'));
  // Ends with us, even when the test run is killed.
  const args = ['--pdeathsig', 'KILL', '--', 'tinyproxy', '-d', '-c', configFile];
  const child = spawn('setpriv', args, { stdio: 'ignore' });
  const exited = once(child, 'exit');
  t.teardown(async () => {
    child.kill('SIGKILL');
    await exited;
    rmSync(dir, { recursive: true, force: true });
  });
  await eventually(() => reach(port), { message: 'tinyproxy did not start' });
  const host = `127.0.0.1:${port}`;
  return { url: `http://${host}`, host, from };
}

async function reach(port: number): Promise<void> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
  } finally {
    socket.destroy();
  }
}
