import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import fc from 'fast-check';
import { listHostFolder, readHostPath } from '../../../src/node/apply.ts';
import { type RestartTools, restartContainerd } from '../../../src/node/restart-containerd.ts';
import { type Fake, fakeProc } from './fake-proc.ts';

const now = Date.parse('2026-01-01T12:00:00Z');
const unit = '/usr/lib/systemd/system/containerd.service';
const dropIns = '/etc/systemd/system/containerd.service.d';
const always =
  '[Unit]\nAfter=network.target\n[Service]\nExecStart=/usr/bin/containerd\nRestart=always\nRestartSec=5\n';
const running: Fake = { comm: 'containerd', cgroup: '0::/system.slice/containerd.service\n' };

/** A node with these units, written an hour ago, and these processes; returns who was signalled, or the reason and message. */
function restart(
  t: Pick<ExecutionContext, 'teardown'>,
  files: Record<string, string>,
  processes: Record<number, Fake> = { 7: running },
  writtenAt = now - 3_600_000,
): number | string {
  const root = fs.mkdtempSync(join(tmpdir(), 'restart-'));
  t.teardown(() => fs.rmSync(root, { recursive: true, force: true }));
  for (const [path, text] of Object.entries(files)) {
    fs.mkdirSync(dirname(join(root, path)), { recursive: true });
    fs.writeFileSync(join(root, path), text);
    fs.utimesSync(join(root, path), writtenAt / 1000, writtenAt / 1000);
  }
  const { tools, killed } = fakeProc(t, processes);
  const host = { files: fs, root };
  const signals: string[] = [];
  const outcome = restartContainerd({
    ...tools,
    kill: (pid, signal) => {
      signals.push(signal);
      tools.kill(pid);
    },
    read: (path) => readHostPath(host, path),
    list: (path) => listHostFolder(host, path) ?? [],
    now: () => now,
  } satisfies RestartTools);
  if (outcome.pid !== undefined) {
    if (killed.join() !== String(outcome.pid) || signals.join() !== 'SIGTERM')
      throw new Error('Other signals');
    return outcome.pid;
  }
  if (killed.length > 0) throw new Error('Signalled and said so to nobody');
  const [finding] = outcome.findings;
  if (finding?.reason !== 'CannotRestart') throw new Error(`Unexpected ${finding?.reason}`);
  return finding.message;
}

test('the process of a unit that is always started again gets SIGTERM', (t) => {
  t.is(restart(t, { [unit]: always }), 7);
  t.is(restart(t, { '/lib/systemd/system/containerd.service': always }), 7);
  t.is(
    restart(t, { [unit]: '[Service]\nRestart=no\n', '/etc/systemd/system/containerd.service': always }),
    7,
  );
  t.is(
    restart(t, {
      [unit]: '[Service]\n',
      [`${dropIns}/10-restart.conf`]: '[Service]\nRestart = \\\n always\n',
    }),
    7,
  );
  const others = { 8: { ...running, parent: 7 }, 9: { comm: 'containerd-shim', cgroup: running.cgroup! } };
  t.is(restart(t, { [unit]: always }, { 7: running, ...others }), 7);
});

test('the unit as it is in force decides: the first folder’s file, then every drop-in by its name', (t) => {
  for (const files of [
    {},
    { [unit]: '[Service]\nExecStart=/usr/bin/containerd\n' },
    { [unit]: '[Service]\nRestart=on-failure\n' },
    { [unit]: '[Unit]\nRestart=always\n' },
    { [unit]: '[Service]\n# Restart=always\n' },
    { [unit]: always, '/etc/systemd/system/containerd.service': '[Service]\n' },
    { [unit]: always, [`${dropIns}/10.conf`]: '[Service]\nRestart=no\n' },
    { [unit]: always, [`${dropIns}/10.conf`]: '[Service]\nRestart=\n' },
    {
      [unit]: always,
      [`${dropIns}/20.conf`]: '[Service]\nRestart=no\n',
      '/run/systemd/system/containerd.service.d/10.conf': '[Service]\nRestart=always\n',
    },
    { [unit]: always, '/etc/systemd/system/service.d/all.conf': '[Service]\nRestart=no\n' },
    { [unit]: always, [`${dropIns}/10.conf`]: '[Service]\nRestartPreventExitStatus=0\n' },
    { [unit]: `${always}[Unit]\nFailureAction=reboot\n` },
    { [unit]: `${always}StartLimitAction=reboot-force\n` },
    { [`${unit}/x`]: '' },
  ] as Record<string, string>[])
    t.is(typeof restart(t, files), 'string', JSON.stringify(files));
  t.is(restart(t, { [unit]: `${always}[Unit]\nFailureAction=none\n` }), 7);
  const shadowed = '/usr/lib/systemd/system/containerd.service.d/10.conf';
  t.is(
    restart(t, {
      [unit]: always,
      [`${dropIns}/10.conf`]: '[Service]\n',
      [shadowed]: '[Service]\nRestart=no\n',
    }),
    7,
  );
});

test('nobody is signalled who is not containerd.service’s own process', (t) => {
  for (const processes of [
    {},
    { 7: { ...running, cgroup: '0::/system.slice/k3s.service\n' } },
    { 7: { ...running, cgroup: '0::/system.slice/docker.service\n' } },
    { 7: { ...running, cgroup: '0::/kubepods.slice/pod1/system.slice/containerd.service\n' } },
    { 7: { ...running, cgroup: '0::/system.slice/containerd.service/x\n' } },
    { 7: { ...running, cgroup: '5:memory:/system.slice/containerd.service\n0::/\n' } },
    { 7: { comm: 'containerd' } },
    { 7: { ...running, comm: 'nginx' } },
    { 7: { ...running, parent: 5 } },
    { 7: running, 9: running },
    { 7: { ...running, age: 3 } },
  ] as Record<number, Fake>[])
    t.is(typeof restart(t, { [unit]: always }, processes), 'string', JSON.stringify(processes));
});

test('the cgroup is that of systemd’s own tree, seen from the agent’s namespace too', (t) => {
  for (const cgroup of [
    '12:memory:/other\n1:name=systemd:/system.slice/containerd.service\n0::/\n',
    '0::/../../../system.slice/containerd.service\n',
    '0::/../system.slice/containerd.service',
  ])
    t.is(restart(t, { [unit]: always }, { 7: { ...running, cgroup } }), 7, cgroup);
  const slice = { [unit]: `${always}Slice=runtime.slice\n` };
  t.is(restart(t, slice, { 7: { ...running, cgroup: '0::/runtime.slice/containerd.service\n' } }), 7);
  t.is(typeof restart(t, slice), 'string');
});

test('a unit that was changed while it ran, and one that others hang on, are left to people', (t) => {
  t.regex(String(restart(t, { [unit]: always }, undefined, now - 1000)), /was changed since/);
  const docker = {
    '/lib/systemd/system/docker.service': '[Unit]\nBindsTo=other.service containerd.service\n',
  };
  t.regex(String(restart(t, { [unit]: always, ...docker })), /docker\.service would be stopped/);
  for (const how of ['Requires', 'Requisite', 'PartOf']) {
    const hanging = (name: string) => ({
      [`/etc/systemd/system/${name}.service`]: `[Unit]\n${how}=containerd.service docker.socket\n`,
    });
    t.regex(String(restart(t, { [unit]: always, ...hanging('docker') })), /docker\.service would be/, how);
    t.is(restart(t, { [unit]: always, ...hanging('kubelet') }), 7, 'pods run on without it');
  }
  const wants = { '/lib/systemd/system/docker.service': '[Unit]\nWants=containerd.service\n' };
  t.is(restart(t, { [unit]: always, ...wants }), 7);
});

test('what /proc or the system refuses is a finding', (t) => {
  const { tools } = fakeProc(t, { 7: running });
  const host = { read: () => ({ kind: 'absent' }) as const, list: () => [], now: () => now };
  t.like(restartContainerd({ ...tools, procFolder: '/nonexistent', ...host }), {
    findings: [{ reason: 'CannotRestart' }],
  });
});

const cgroups = fc.constantFrom(
  '0::/system.slice/containerd.service\n',
  '0::/../system.slice/containerd.service\n',
  '0::/system.slice/k3s.service\n',
  '1:name=systemd:/system.slice/containerd.service\n0::/\n',
  '0::/user.slice\n',
  '',
);
const anyFake = fc.record({
  comm: fc.constantFrom('containerd', 'containerd-shim', 'dockerd', 'k3s-server'),
  parent: fc.constantFrom(1, 2, 3),
  age: fc.constantFrom(1, 50, 900),
  cgroup: cgroups,
});
const fakes = fc.oneof(
  anyFake,
  fc.constant({ comm: 'containerd', parent: 1, age: 900, cgroup: '0::/system.slice/containerd.service\n' }),
);
const units = fc.constantFrom<Record<string, string>>(
  {},
  { [unit]: always },
  { [unit]: always, [`${dropIns}/a.conf`]: '[Service]\nRestart=on-abort\n' },
  { [unit]: '[Service]\n', [`${dropIns}/a.conf`]: '[Service]\nRestart=always\n' },
);

test('for any processes and units: only a process named containerd in containerd’s cgroup is ever signalled, and at most one', (t) => {
  let signalled = 0;
  fc.assert(
    fc.property(units, fc.array(fakes, { maxLength: 3 }), (files, list) => {
      const ends: (() => unknown)[] = [];
      try {
        const processes = Object.fromEntries(list.map((fake, at) => [at + 2, fake]));
        const outcome = restart({ teardown: (end) => void ends.push(end) }, files, processes);
        if (typeof outcome === 'string') return;
        signalled += 1;
        t.is(processes[outcome]?.comm, 'containerd');
        t.regex(processes[outcome]?.cgroup ?? '', /\/system\.slice\/containerd\.service\n/);
        t.true(Object.values(files).some((text) => text.includes('Restart=always')));
      } finally {
        for (const end of ends) end();
      }
    }),
    { numRuns: 300 },
  );
  t.true(signalled > 10);
});
