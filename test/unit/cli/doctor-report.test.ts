import test from 'ava';
import type { NodeReport } from '../../../src/api/node-report.ts';
import { isWell, reportLines } from '../../../src/cli/doctor-report.ts';

const report: NodeReport = {
  node: 'node-1',
  at: '2026-01-01T00:00:00Z',
  mode: 'wire',
  owners: ['hub', 'old'],
  mirrors: [
    {
      name: 'hub',
      complete: false,
      forwarder: {
        port: 29_001,
        offered: false,
        since: '2026-01-01T00:00:00Z',
        reason: 'Refused',
        detail: '10.96.0.10:443',
        connections: 3,
        bytes: 3 * 2 ** 20,
        lastUsed: '2026-01-01T00:00:00Z',
      },
      runtimes: [
        {
          runtime: 'docker',
          found: true,
          version: '20.10.24',
          wired: true,
          live: true,
          reason: '',
          message: '',
        },
        {
          runtime: 'containerd',
          found: true,
          version: '1.6.20',
          wired: false,
          live: false,
          reason: 'ConfigPathUnset',
          message: 'config_path is not set',
        },
        { runtime: 'crio', found: false, wired: true, live: false, reason: 'NotRunning', message: '' },
      ],
      findings: [
        {
          reason: 'ConfigPathUnset',
          path: '/etc/containerd/config.toml',
          message: 'config_path is not set',
          blocks: true,
        },
        { reason: 'TakenOver', path: '/etc/x', message: 'Taken', blocks: false },
      ],
    },
  ],
};

test('a node is told mirror by mirror and runtime by runtime, each reason once', (t) => {
  t.deepEqual(reportLines(report), [
    'node-1: wired to 0 of 1 mirrors (2026-01-01T00:00:00Z)',
    '  hub: not in place; port 29001 closed (Refused, 10.96.0.10:443); 3 connections, 3.0 MiB, last 2026-01-01T00:00:00Z',
    '    docker 20.10.24: wired and live',
    '    containerd 1.6.20: not wired: config_path is not set',
    '    crio (not found): wired, not live: NotRunning',
    '    note: TakenOver /etc/x: Taken',
    '  old: has something here, and is wired by another agent or about to be taken back',
  ]);
  t.false(isWell(report));
});
