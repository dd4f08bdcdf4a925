import test from 'ava';
import { readConfigs } from '../../../../src/node/containerd/config.ts';
import { planContainerdConfig } from '../../../../src/node/containerd/configure.ts';
import type { FileState } from '../../../../src/node/files.ts';

const path = '/etc/containerd/config.toml';
const deep = `${'a.'.repeat(100_000)}a`;

for (const table of [`plugins."io.containerd.grpc.v1.cri".registry.${deep}`, deep]) {
  test(`a configuration of any depth ends no pass: ${table.slice(0, 20)}`, (t) => {
    const content = Buffer.from(`version = 2\n[${table}]\nx = 1\n`);
    const read = (asked: string): FileState =>
      asked === path ? { kind: 'file', content, mode: 0o644, uid: 0, gid: 0 } : { kind: 'absent' };
    const host = { read, list: () => [] };
    const { findings, complete } = readConfigs(host, '2.1.0');
    t.deepEqual([findings.map(({ reason }) => reason), complete], [['UnreadableConfig'], false]);
    const input = { ...host, mirror: 'hub', found: true, release: '2.1.0', record: undefined };
    t.deepEqual(planContainerdConfig(input).actions, []);
  });
}
