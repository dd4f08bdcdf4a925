import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import * as fs from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { eventually } from '../support/eventually.ts';
import { programEnvironment } from '../support/program-environment.ts';
import { certificateOne, certificateTwo } from '../unit/node/certificates.ts';
import { makeSandbox, type Sandbox } from '../unit/node/sandbox.ts';

const main = new URL('../../src/main.ts', import.meta.url).pathname;
const certificates = 'etc/docker/certs.d';

function sandbox(t: ExecutionContext): Sandbox {
  const box = makeSandbox();
  t.teardown(box.remove);
  box.put('etc/hosts', Buffer.from('127.0.0.1\tlocalhost\r\n# \xff no final newline', 'latin1'), 0o640);
  return box;
}

/** The environment of the DaemonSet, with the container's own paths in the sandbox. */
function environment(box: Sandbox, mirror: string, changes: Record<string, string> = {}): NodeJS.ProcessEnv {
  return {
    ...programEnvironment,
    HOST_ROOT: box.root,
    MIRROR_NAME: mirror,
    SERVICE_NAME: `registry-mirror-${mirror}`,
    SERVICE_NAMESPACE: 'default',
    SHADOW_FQDN: `mirror-${mirror}.example`,
    MIRROR_ADDRESSES: '10.96.0.10,fd00::10',
    HOSTS_FILE_BACKUP: '/etc/hosts.backup/hosts',
    LOCK_FILE: '/var/lock/mirror-hostess/mirror-hostess',
    CA_FILE: box.caFile,
    READY_FILE: join(box.root, `../ready-${mirror}`),
    FORWARDER_DIR: join(box.root, `../forwarder-${mirror}`),
    STATUS_SOCKET: join(box.root, `../status-${mirror}.sock`),
    SECONDS_BETWEEN_STREAMS: '1',
    ...changes,
  };
}

function start(t: ExecutionContext, env: NodeJS.ProcessEnv, ...flags: string[]): ChildProcess {
  const child = spawn(process.execPath, [main, 'node-agent', ...flags], { env, stdio: 'ignore' });
  t.teardown(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  });
  return child;
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<number | null> {
  if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
  const exited = once(child, 'exit');
  child.kill(signal);
  return (await exited)[0];
}

function run(env: NodeJS.ProcessEnv, ...flags: string[]) {
  return spawnSync(process.execPath, [main, ...flags], { env, encoding: 'utf8' });
}

function isReady(box: Sandbox, mirror: string): void {
  const content = fs.readFileSync(join(box.root, `../ready-${mirror}`), 'utf8');
  assert.equal(JSON.parse(content).complete, true);
}

test('one pass wires the node; real consumers read the files; --mode restore gives the tree from before', (t) => {
  const box = sandbox(t);
  const before = box.tree();
  const wired = run(environment(box, 'hub'), 'node-agent', '--once');
  t.is(wired.status, 0, wired.stderr);
  t.regex(resolved(box, 'mirror-hub.example'), /^(10\.96\.0\.10|fd00::10)\s+mirror-hub\.example$/m);
  t.regex(resolved(box, '127.0.0.1'), /localhost/);
  t.deepEqual(verified(box, `${certificates}/mirror-hub.example/ca.crt`), 'ok');
  t.is(run(environment(box, 'hub'), 'node-agent', '--once', '--mode', 'restore').status, 0);
  t.deepEqual(box.tree(), before);
});

test('a node that cannot be wired is exit code 1 with --once and says why', (t) => {
  const box = sandbox(t);
  const { status, stderr } = run(environment(box, 'hub', { CA_FILE: '/nowhere' }), 'node-agent', '--once');
  t.is(status, 1);
  t.regex(stderr, /NoCertificateAuthority/);
});

test('every wrong value is listed, without a stack', (t) => {
  const env = environment(sandbox(t), 'hub', { MIRROR_ADDRESSES: 'None', HOSTS_FILE: 'hosts' });
  const { status, stderr } = run(env, 'node-agent');
  t.is(status, 1);
  t.regex(stderr, /^HOSTS_FILE: expected .*\nMIRROR_ADDRESSES: expected .*"None"\n$/);
});

test('SIGTERM ends the agent at once with exit code 0 and leaves the wiring', async (t) => {
  const box = sandbox(t);
  const agent = start(t, environment(box, 'hub', { SECONDS_BETWEEN_STREAMS: '3600' }));
  await eventually(() => isReady(box, 'hub'));
  const wired = box.tree();
  t.is(await end(agent, 'SIGTERM'), 0);
  t.deepEqual(box.tree(), wired);
  t.regex(box.get('etc/hosts'), /mirror-hub/);
});

test('agents of several mirrors killed at random and started again converge; restored in any order nothing is left', async (t) => {
  const box = sandbox(t);
  const before = box.tree();
  const mirrors = ['one', 'two', 'three'];
  for (let round = 0; round < 3; round += 1) {
    fs.writeFileSync(box.caFile, round % 2 === 0 ? certificateOne : certificateTwo);
    const agents = mirrors.map((mirror) =>
      start(t, environment(box, mirror, { MIRROR_ADDRESSES: `10.0.0.${round}` })),
    );
    await eventually(() => assert.ok(box.get('etc/hosts').includes(`10.0.0.${round}`)));
    await Promise.all(agents.map((agent) => end(agent, 'SIGKILL')));
  }
  const agents = mirrors.map((mirror) => start(t, environment(box, mirror)));
  for (const mirror of mirrors) {
    await eventually(() => {
      isReady(box, mirror);
      assert.match(box.get('etc/hosts'), new RegExp(`^10\\.96\\.0\\.10\tmirror-${mirror}\\.example\t`, 'm'));
      assert.ok(box.get(`${certificates}/mirror-${mirror}.example/ca.crt`).endsWith(certificateOne));
    });
  }
  t.deepEqual(temporaries(box), []);
  await Promise.all(agents.map((agent) => end(agent, 'SIGKILL')));
  const restorers = mirrors.map((mirror) =>
    start(t, environment(box, mirror, { NODE_AGENT_MODE: 'restore' })),
  );
  await eventually(() => assert.deepEqual(box.tree(), before));
  for (const mirror of mirrors) await eventually(() => isReady(box, mirror));
  await Promise.all(restorers.map((agent) => end(agent, 'SIGTERM')));
  t.deepEqual(box.tree(), before);
});

test('restore --all takes back what every mirror did, without their configuration', (t) => {
  const box = sandbox(t);
  const before = box.tree();
  for (const mirror of ['one', 'two']) run(environment(box, mirror), 'node-agent', '--once');
  const restore = () => run(programEnvironment, 'restore', '--all', '--host-root', box.root);
  const first = restore();
  t.is(first.status, 0);
  t.regex(first.stderr, /"changes":[1-9]\d*,"msg":"Everything of ours was taken back"/);
  t.deepEqual(box.tree(), before);
  const again = restore();
  t.is(again.status, 0);
  t.regex(again.stderr, /"msg":"Nothing of ours was found"/);
  t.deepEqual(box.tree(), before);
});

test('a hosts file that is a mount point of its own is written through the mount', (t) => {
  const box = sandbox(t);
  const before = box.tree();
  const outside = join(box.root, '../bound');
  fs.copyFileSync(join(box.root, 'etc/hosts'), outside);
  const bound = (...flags: string[]) =>
    inMountNamespace(
      `mount --bind "${outside}" "${box.root}/etc/hosts" && exec "$@"`,
      environment(box, 'hub'),
      [process.execPath, main, 'node-agent', '--once', ...flags],
    );
  const original = fs.readFileSync(outside);
  bound();
  t.regex(fs.readFileSync(outside, 'latin1'), /^10\.96\.0\.10\tmirror-hub\.example\t/m);
  bound('--mode', 'restore');
  t.deepEqual(fs.readFileSync(outside), original);
  t.deepEqual(box.tree(), before);
});

function inMountNamespace(script: string, env: NodeJS.ProcessEnv, argv: string[]): string {
  return execFileSync('unshare', ['--mount', 'sh', '-c', script, 'sh', ...argv], {
    env,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

/** What the C library's resolver makes of the sandbox's hosts file. */
function resolved(box: Sandbox, name: string): string {
  return inMountNamespace(`mount --bind "${box.root}/etc/hosts" /etc/hosts && exec "$@"`, process.env, [
    'getent',
    'hosts',
    name,
  ]);
}

/** OpenSSL takes the file as trust for the certificate it holds. */
function verified(box: Sandbox, path: string): string {
  const output = execFileSync('openssl', ['verify', '-CAfile', join(box.root, path), box.caFile], {
    encoding: 'utf8',
  });
  return /: OK$/m.test(output) ? 'ok' : output;
}

function temporaries(box: Sandbox): string[] {
  const names = fs.readdirSync(box.root, { recursive: true, encoding: 'utf8' });
  return names.filter((name) => name.endsWith('.tmp') || name.endsWith('.redo'));
}
