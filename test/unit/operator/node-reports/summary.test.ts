import test from 'ava';
import fc from 'fast-check';
import type { MirrorOnNode } from '../../../../src/api/node-report.ts';
import { summaryOf } from '../../../../src/operator/node-reports/summary.ts';
import { mirrorOnNode } from '../../../support/agent-server.ts';
import { heard, unheard } from './nodes.ts';

const blocked = (
  reason: string,
  path = '/etc/containerd/certs.d/quay.io/hosts.toml',
): Partial<MirrorOnNode> => ({
  complete: false,
  findings: [{ reason, path, message: 'm', blocks: true }],
});

test('Causes are counted by node, the most frequent first', (t) => {
  const summary = summaryOf([
    heard('a'),
    heard('b', blocked('ForeignFile')),
    heard('c', blocked('ConfigPathUnset')),
    heard('d', {
      ...blocked('ConfigPathUnset'),
      findings: [...blocked('ConfigPathUnset').findings!, ...blocked('ConfigPathUnset').findings!],
    }),
    unheard('e'),
    unheard('f', 'unreachable'),
  ]);
  t.deepEqual(summary, {
    heard: 4,
    wired: 1,
    unreachable: ['f'],
    causes: [
      { text: 'config_path unset', nodes: ['c', 'd'] },
      { text: 'foreign hosts.toml', nodes: ['b'] },
    ],
    notLive: [],
  });
});

test('Where nothing blocks, the runtime that is not wired is the cause, then the forwarder', (t) => {
  const textOf = (mirror: Partial<MirrorOnNode>) =>
    summaryOf([heard('a', { complete: false, ...mirror })]).causes.map(({ text }) => text);
  const docker = { runtime: 'docker', found: true, wired: false, live: false, message: '' } as const;
  t.deepEqual(textOf({ runtimes: [{ ...docker, reason: 'SignalFailed' }] }), ['docker: signal failed']);
  const { forwarder } = mirrorOnNode();
  t.deepEqual(textOf({ forwarder: { ...forwarder!, offered: false, reason: 'Timeout' } }), [
    'forwarder: timeout',
  ]);
  t.deepEqual(textOf({}), ['pass not complete']);
  const note = { reason: 'EditedFile', message: 'm', blocks: false };
  t.deepEqual(textOf({ findings: [note] }), ['pass not complete'], 'what blocks nothing is no cause');
});

test('Only a path’s plain file name gets into a text', (t) => {
  const cause = (path: string) => summaryOf([heard('a', blocked('ForeignFile', path))]).causes[0]?.text;
  t.is(cause('/x/ca.crt'), 'foreign ca.crt');
  t.is(cause('/x/a b; rm'), 'foreign file');
});

test('A wired node on which no pull reaches the mirror is told, and when any forwarder was last used', (t) => {
  const idle = mirrorOnNode().runtimes.map((one) => ({ ...one, live: false }));
  const { forwarder } = mirrorOnNode();
  const used = (lastUsed: string) => ({ forwarder: { ...forwarder!, lastUsed } });
  const summary = summaryOf([
    heard('a', { runtimes: idle }),
    heard('b', used('2026-01-01T10:00:59.9Z')),
    heard('c', used('2026-01-01T09:00:00+00:00')),
    heard('d', { forwarder: { ...forwarder!, offered: false, reason: 'Refused' } }),
    heard('e', { forwarder: null }),
  ]);
  t.deepEqual(summary.notLive, ['a', 'd']);
  t.is(summary.lastUsed, '2026-01-01T10:00:00Z');
});

test('A line in the hosts file reaches the mirror only where nothing is known of any runtime', (t) => {
  const line = { runtime: 'hosts', found: true, wired: true, live: true, reason: '', message: '' } as const;
  const silent = { ...line, runtime: 'containerd', live: false, reason: 'NotRestarted' } as const;
  const notLive = (runtimes: MirrorOnNode['runtimes']) => summaryOf([heard('a', { runtimes })]).notLive;
  t.deepEqual(notLive([silent, line]), ['a']);
  t.deepEqual(notLive([{ ...silent, live: true }, line]), []);
  t.deepEqual(notLive([line]), []);
});

test('The order of causes depends on nothing but the nodes', (t) => {
  const reasons = fc.array(fc.constantFrom('A', 'B', 'C', 'D'), { minLength: 1, maxLength: 8 });
  fc.assert(
    fc.property(reasons, fc.infiniteStream(fc.nat()), (all, order) => {
      const nodes = all.map((reason, index) => heard(`n${index}`, blocked(reason)));
      const shuffled = [...nodes]
        .map((node) => ({ node, key: order.next().value as number }))
        .sort((one, other) => one.key - other.key)
        .map(({ node }) => node)
        .sort((one, other) => (one.node < other.node ? -1 : 1));
      t.deepEqual(summaryOf(shuffled), summaryOf(nodes));
    }),
  );
});
