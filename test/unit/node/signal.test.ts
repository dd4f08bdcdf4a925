import { spawn } from 'node:child_process';
import { once } from 'node:events';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { findProcesses, sendSignal, youngestSignalled } from '../../../src/node/signal.ts';
import { fakeProc, uid } from './fake-proc.ts';

function folder(t: ExecutionContext): string {
  const dir = fs.mkdtempSync(join(tmpdir(), 'signal-'));
  t.teardown(() => fs.rmSync(dir, { recursive: true, force: true }));
  return dir;
}

test('a running program of that name gets the signal and no other', async (t) => {
  const dir = folder(t);
  const program = join(dir, 'signalled-one');
  fs.writeFileSync(
    program,
    '#!/bin/sh\ntrap "echo told; exit 0" HUP\necho ready\nwhile :; do sleep 0.05; done\n',
    {
      mode: 0o755,
    },
  );
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.teardown(() => child.kill('SIGKILL'));
  let output = '';
  child.stdout.on('data', (data) => {
    output += data;
  });
  await once(child.stdout, 'data');
  const later = (path: string) => (path === '/proc/uptime' ? '1e9' : fs.readFileSync(path, 'utf8'));
  const tools = { files: fs, procFolder: '/proc', kill: process.kill.bind(process), uid };
  t.deepEqual(sendSignal('signalled-one', 'SIGHUP', tools).sent, [], 'it has just begun');
  t.is(findProcesses('signalled-one', tools)[0]?.pid, child.pid);
  const old = { ...tools, files: { ...fs, readFileSync: later as never } };
  t.deepEqual(sendSignal('signalled-one', 'SIGHUP', old), { sent: [child.pid!] });
  await once(child, 'exit');
  t.is(output, 'ready\ntold\n');
});

test('a program that does not run is no error', (t) => {
  const { tools } = fakeProc(t, { 7: { comm: 'dockerd2' }, 8: { comm: 'ockerd' } });
  t.deepEqual(sendSignal('dockerd', 'SIGHUP', tools), { sent: [] });
});

test('what a program has forked, what has ended, and what another user runs, is not signalled', (t) => {
  const { tools, killed } = fakeProc(t, {
    7: { comm: 'dockerd' },
    8: { comm: 'dockerd', parent: 7 },
    9: { comm: 'dockerd', state: 'Z' },
    10: { comm: 'bash', parent: 7 },
  });
  t.deepEqual(sendSignal('dockerd', 'SIGHUP', tools), { sent: [7] });
  t.deepEqual(killed, [7]);
  t.deepEqual(sendSignal('dockerd', 'SIGHUP', { ...tools, uid: uid + 1 }), { sent: [] });
});

test('a program in a container with process ids of its own is not the node’s', (t) => {
  const { tools, killed } = fakeProc(t, { 7: { comm: 'dockerd', ids: [7, 1] }, 8: { comm: 'dockerd' } });
  t.deepEqual(sendSignal('dockerd', 'SIGHUP', tools), { sent: [8] });
  t.deepEqual(killed, [8]);
});

test('a program that has just begun is left for the next time: it may not handle the signal yet', (t) => {
  const { tools, killed } = fakeProc(t, {
    7: { comm: 'crio', age: youngestSignalled - 1 },
    8: { comm: 'crio' },
  });
  const { sent, error } = sendSignal('crio', 'SIGHUP', tools);
  t.deepEqual(sent, [8]);
  t.regex(String(error), /crio 7 has just begun/);
  t.deepEqual(killed, [8]);
});

test('a name with parentheses and spaces does not hide the fields after it', (t) => {
  const { tools } = fakeProc(t, { 7: { comm: 'a) Z (b' } });
  t.like(findProcesses('a) Z (b', tools), [
    { pid: 7, parent: 1, age: 500, commandLine: ['/usr/bin/a) Z (b', '--flag=a b'] },
  ]);
});

test('a process that ends meanwhile is no error, a refused signal is one', (t) => {
  const { tools } = fakeProc(t, { 7: { comm: 'dockerd' } });
  const failing = (code: string) => () => {
    throw Object.assign(new Error(code), { code });
  };
  t.deepEqual(sendSignal('dockerd', 'SIGHUP', { ...tools, kill: failing('ESRCH') }), { sent: [] });
  t.like(sendSignal('dockerd', 'SIGHUP', { ...tools, kill: failing('EPERM') }), {
    sent: [],
    error: { code: 'EPERM' },
  });
  const files = { ...fs, readFileSync: failing('EACCES') as never };
  t.like(sendSignal('dockerd', 'SIGHUP', { ...tools, files }), { error: { code: 'EACCES' } });
});

test('a program that runs on the node but in another process namespace than the agent was not told', (t) => {
  const { tools } = fakeProc(t, { 7: { comm: 'node' } });
  const host = fakeProc(t, { 700: { comm: 'dockerd' } });
  const seeing = { ...tools, hostProcFolder: host.tools.procFolder };
  const { sent, error } = sendSignal('dockerd', 'SIGHUP', seeing);
  t.deepEqual(sent, []);
  t.regex(String(error), /dockerd runs where this agent cannot signal it/);
  t.deepEqual(sendSignal('crio', 'SIGHUP', seeing), { sent: [] });
  t.deepEqual(sendSignal('crio', 'SIGHUP', { ...seeing, hostProcFolder: '/nowhere' }), { sent: [] });
});
