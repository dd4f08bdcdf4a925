import test from 'ava';
import { type Findings, whatIsLacking } from '../../cluster/requirements.ts';

const able: Findings = {
  isRoot: true,
  missing: [],
  failed: [],
  hierarchies: [
    { path: '/sys/fs/cgroup/memory', version: 1, controllers: ['memory'] },
    { path: '/sys/fs/cgroup/rest', version: 1, controllers: ['cpu', 'cpuacct', 'cpuset', 'pids'] },
  ],
  folder: '/work/.cluster',
};

test('a machine that has everything lacks nothing', (t) => {
  t.is(whatIsLacking(able), undefined);
});

test('everything that stands in the way is said at once', (t) => {
  const lacking = whatIsLacking({
    isRoot: false,
    missing: ['runc (Debian package runc)'],
    failed: [
      { trial: 'bridge', said: 'RTNETLINK answers: Operation not supported' },
      { trial: 'overlay', said: 'mount: unknown filesystem type' },
    ],
    hierarchies: able.hierarchies.slice(0, 1),
    folder: '/work/.cluster',
  });
  t.is(
    lacking,
    `A cluster cannot be made on this machine:
  - you are not root: nodes are namespaces, links and mounts, which only root may make
  - there is no runc (Debian package runc)
  - no mounted control group hierarchy has cpu, cpuacct, cpuset, pids (of 1 that are mounted)
  - the kernel has no bridge (CONFIG_BRIDGE) (it says: RTNETLINK answers: Operation not supported)
  - overlayfs does not work on the file system of /work/.cluster; CLUSTER_FOLDER names another folder, on ext4, xfs or btrfs (it says: mount: unknown filesystem type)`,
  );
});
