import test from 'ava';
import fc from 'fast-check';
import { mostAnswered } from '../../../../src/operator/node-reports/ask-agent.ts';
import { parseNodeReport } from '../../../../src/operator/node-reports/parse-report.ts';
import { mirrorOnNode, nodeReport } from '../../../support/agent-server.ts';

const finding = (reason: string, blocks: boolean) => ({ reason, path: '/x', message: 'm', blocks });

test('A report is read as it was said, and what a newer agent adds is ignored', (t) => {
  const report = nodeReport({ findings: [finding('ForeignFile', true)] });
  const newer = { ...report, more: 1, mirrors: report.mirrors.map((one) => ({ ...one, more: {} })) };
  t.deepEqual(parseNodeReport(JSON.stringify(newer)), report);
  const without = nodeReport({ forwarder: null });
  t.deepEqual(parseNodeReport(JSON.stringify(without)), without);
});

test('One message names the field that is not as expected', (t) => {
  const bad = { ...nodeReport(), mirrors: [{ ...mirrorOnNode(), complete: 'yes', runtimes: 3 }] };
  t.throws(() => parseNodeReport(JSON.stringify(bad)), {
    instanceOf: TypeError,
    message: /^node report: mirrors\.0\.complete: [^;]+$/,
  });
  t.throws(() => parseNodeReport('<html>'), { message: 'node report: expected JSON' });
  t.throws(() => parseNodeReport('7'), { message: /^node report: as a whole: / });
});

test('Texts and lists are bounded, reasons are words, and what blocks is kept first', (t) => {
  const findings = [
    ...Array.from({ length: 100 }, () => finding('Noise', false)),
    { ...finding('not a word', true), message: 'x'.repeat(10_000) },
  ];
  const report = parseNodeReport(JSON.stringify(nodeReport({ findings })));
  const [first, ...others] = report.mirrors[0]?.findings ?? [];
  t.like(first, { reason: 'Unknown', blocks: true });
  t.true((first?.message.length ?? 0) <= 200);
  t.is(others.length, 31);
  const many = { ...nodeReport(), mirrors: Array.from({ length: 1_025 }, () => mirrorOnNode()) };
  t.throws(() => parseNodeReport(JSON.stringify(many)), { message: /^node report: mirrors: / });
});

test('Whatever is answered, it is read or refused with one line', (t) => {
  fc.assert(
    fc.property(fc.oneof(fc.json(), fc.string()), (text) => {
      try {
        parseNodeReport(text);
      } catch (error) {
        t.true(error instanceof TypeError);
        t.false((error as Error).message.includes('\n'));
      }
    }),
  );
  t.pass();
});

test('An agent may tell of as many mirrors as there are ports for them', (t) => {
  const names = Array.from({ length: 999 }, (_, index) => `mirror-${index}`);
  const mirrors = names.map((name) => mirrorOnNode({ name }));
  const text = JSON.stringify({ ...nodeReport(), mirrors, owners: names });
  t.is(parseNodeReport(text).mirrors.length, 999);
  t.true(text.length < mostAnswered, `${text.length} bytes are read`);
});
