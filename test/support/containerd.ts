/** Debian's containerd with folders and a socket of its own, and `ctr` to use it. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { ExecutionContext } from 'ava';
import { eventually } from './eventually.ts';

const run = promisify(execFile);

export interface Containerd {
  /** Runs `ctr` in a namespace; rejects, with what it says, when it fails. */
  ctr(namespace: string, ...args: string[]): Promise<string>;
}

/** Starts it and ends it with the test. It has no snapshotter that mounts anything: nothing is left but its folder. */
export async function startContainerd(t: Pick<ExecutionContext, 'teardown'>): Promise<Containerd> {
  const dir = mkdtempSync(join(tmpdir(), 'containerd-'));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  const [configFile, logFile, socket] = ['config.toml', 'log', 'sock'].map((name) => join(dir, name)) as [
    string,
    string,
    string,
  ];
  writeFileSync(configFile, configuration(dir, socket));
  const log = openSync(logFile, 'a');
  // Ends with us, even when the test run is killed.
  const args = ['--pdeathsig', 'KILL', '--', 'containerd', '--config', configFile];
  const child = spawn('setpriv', args, { stdio: ['ignore', log, log] });
  t.teardown(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGTERM');
    await once(child, 'exit');
  });
  const ctr = async (namespace: string, ...more: string[]) =>
    (await run('ctr', ['--address', socket, '--namespace', namespace, ...more])).stdout;
  await eventually(() => ctr('default', 'version'), {
    timeout: 20_000,
    message: `containerd did not start: ${readFileSync(logFile, 'utf8').slice(-2000)}`,
  });
  return { ctr };
}

function configuration(dir: string, socket: string): string {
  const text = (value: string) => JSON.stringify(value);
  const unused = [
    'grpc.v1.cri',
    'internal.v1.tracing',
    'snapshotter.v1.aufs',
    'snapshotter.v1.btrfs',
    'snapshotter.v1.devmapper',
    'snapshotter.v1.zfs',
  ];
  // What one namespace has is not another's: a pull in a new one asks the registry for everything.
  return `version = 2
root = ${text(join(dir, 'root'))}
state = ${text(join(dir, 'state'))}
disabled_plugins = ${JSON.stringify(unused.map((name) => `io.containerd.${name}`))}

[grpc]
  address = ${text(socket)}

[plugins."io.containerd.metadata.v1.bolt"]
  content_sharing_policy = "isolated"

[plugins."io.containerd.internal.v1.opt"]
  path = ${text(join(dir, 'opt'))}
`;
}
