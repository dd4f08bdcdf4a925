import test from 'ava';
import { containerdInForce } from '../../../../src/node/containerd/in-force.ts';
import { memoryHost } from './memory-host.ts';

const now = Date.parse('2026-01-01T12:00:00Z');
const startedAt = now - 60_000;
const main = '/etc/containerd/config.toml';
const path = 'config_path = "/certs.d"\n';
const withPath = `version = 3\n[plugins."io.containerd.cri.v1.images".registry]\n${path}`;

/** `files`: text, written before containerd was started, or when. */
function judge(files: Record<string, string | readonly [string, number]>, configFile?: string): string {
  const states = Object.entries(files).map(([at, file]) => {
    const [text, mtimeMs] = typeof file === 'string' ? [file, startedAt - 60_000] : file;
    return [at, { kind: 'file', content: Buffer.from(text), mode: 0o644, uid: 0, gid: 0, mtimeMs }] as const;
  });
  const host = memoryHost(Object.fromEntries(states));
  const { live, reason } = containerdInForce(host, { release: '2.1.4', configFile, startedAt, now });
  return live ? 'live' : reason;
}

test('a node whose containerd is started with another file than the one that has config_path is not live', (t) => {
  const files = { [main]: withPath, '/opt/containerd.toml': 'version = 3\n' };
  t.is(judge(files, main), 'live');
  t.is(judge(files, '/opt/containerd.toml'), 'ConfigPathUnset');
  t.is(judge(files, '/opt/gone.toml'), 'UnreadableConfig');
  t.is(judge({ [main]: 'version = 3\n', '/opt/containerd.toml': withPath }, '/opt/containerd.toml'), 'live');
});

test('a configuration that cannot be understood makes nothing live', (t) => {
  t.is(judge({ [main]: 'no = = TOML' }, main), 'UnreadableConfig');
});

test('what k3s and k0s write right before they start containerd was read, what a person writes then was not', (t) => {
  const later = [withPath, startedAt + 90] as const;
  for (const file of [
    '/var/lib/rancher/k3s/agent/etc/containerd/config.toml',
    '/var/lib/rancher/rke2/agent/etc/containerd/config.toml',
    '/data/agent/etc/containerd/config.toml',
  ])
    t.is(judge({ [file]: later }, file), 'live', file);
  t.is(judge({ [main]: later }, main), 'NotRestarted');
  const k0s = '/etc/k0s/containerd.toml';
  const imports = 'version = 3\nimports = ["/run/k0s/containerd-cri.toml"]\n';
  t.is(judge({ [k0s]: imports, '/run/k0s/containerd-cri.toml': later }, k0s), 'live');
  t.is(judge({ [k0s]: later }, k0s), 'NotRestarted');
});
