import test from 'ava';
import { hierarchiesOf } from '../../cluster/cgroups.ts';

test('of version 1 each hierarchy that is mounted has its controllers', (t) => {
  const mounts = [
    'tmpfs /sys/fs/cgroup tmpfs rw 0 0',
    'cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,nosuid,cpu,cpuacct 0 0',
    'cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0',
  ].join('\n');
  t.deepEqual(
    hierarchiesOf(mounts, () => []),
    [
      { path: '/sys/fs/cgroup/cpu,cpuacct', version: 1, controllers: ['rw', 'nosuid', 'cpu', 'cpuacct'] },
      { path: '/sys/fs/cgroup/unified', version: 2, controllers: [] },
    ],
  );
});

test('of version 2 there is one, where cpu counts what cpuacct counted', (t) => {
  const mounts = 'cgroup2 /sys/fs/cgroup cgroup2 rw,nsdelegate 0 0\n';
  t.deepEqual(
    hierarchiesOf(mounts, (path) => (path === '/sys/fs/cgroup' ? ['cpuset', 'cpu', 'memory', 'pids'] : [])),
    [
      {
        path: '/sys/fs/cgroup',
        version: 2,
        controllers: ['cpuset', 'cpu', 'memory', 'pids', 'cpuacct'],
      },
    ],
  );
});
