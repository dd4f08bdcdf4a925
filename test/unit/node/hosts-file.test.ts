import test from 'ava';
import fc from 'fast-check';
import { mirrorsIn, planHostsFile, withoutMirrors } from '../../../src/node/hosts-file.ts';

const hub = { mirror: 'hub', foreignLines: 'override' as const, path: '/etc/hosts' };
const entries = [{ address: '10.96.0.10', name: 'mirror-hub.example' }];
const block = [
  '# registry-mirror-operator: begin hub (managed, do not edit)',
  '10.96.0.10\tmirror-hub.example\t# registry-mirror-operator: hub',
  '# registry-mirror-operator: end hub',
  '',
].join('\n');

function plan(text: string | undefined, wanted = entries, policy = hub) {
  const current = text === undefined ? undefined : Buffer.from(text, 'latin1');
  const { content, findings } = planHostsFile(current, wanted, policy);
  return { text: content?.toString('latin1'), reasons: findings.map((finding) => finding.reason) };
}

test('the block stands before everything else, which is kept', (t) => {
  t.is(plan('127.0.0.1 localhost').text, `${block}127.0.0.1 localhost`);
  t.is(plan('').text, block);
  t.is(plan(undefined).text, block);
});

test('a block in place changes nothing, wherever it stands', (t) => {
  t.is(plan(`${block}127.0.0.1 localhost`).text, undefined);
  t.is(plan(`# a comment\n${block}127.0.0.1 localhost`).text, undefined);
  t.is(plan('127.0.0.1 localhost', []).text, undefined);
});

test('IPv4 and IPv6 addresses get a line each', (t) => {
  const both = [...entries, { address: 'fd00::10', name: 'mirror-hub.example' }];
  t.regex(
    plan('', both).text ?? '',
    /^10\.96\.0\.10\tmirror-hub\.example\t.*\nfd00::10\tmirror-hub\.example\t/m,
  );
});

test('a foreign line for the same name is reported and comes after ours', (t) => {
  const foreign = '192.0.2.9 other Mirror-Hub.Example # note\n';
  t.deepEqual(plan(`${foreign}${block}`), { text: `${block}${foreign}`, reasons: ['ForeignHostsLine'] });
  t.deepEqual(plan(`${block}${foreign}`), { text: undefined, reasons: ['ForeignHostsLine'] });
});

test('the line that mirror-hostess left is taken over: by what it says, it can be of nobody else', (t) => {
  const left = '10.96.0.10\tmirror-hub.example\n';
  const taken = { text: `${block}127.0.0.1 localhost\n`, reasons: [] };
  t.deepEqual(plan(`127.0.0.1 localhost\n${left}`), taken);
  t.deepEqual(plan(`${block}127.0.0.1 localhost\n${left}`), taken, 'also one that comes back');
  for (const other of [
    '10.96.0.9\tmirror-hub.example\n',
    '10.96.0.10 mirror-hub.example\n',
    '10.96.0.10\tmirror-hub.example other\n',
    '10.96.0.10\tmirror-hub.example # by hand\n',
  ])
    t.deepEqual(plan(other), { text: `${block}${other}`, reasons: ['ForeignHostsLine'] });
  const policy = { ...hub, foreignLines: 'respect' as const };
  t.deepEqual(plan(left, entries, policy as never), { text: undefined, reasons: ['ForeignHostsLine'] });
});

test('with the policy respect a name of a foreign line gets no line of ours', (t) => {
  const policy = { ...hub, foreignLines: 'respect' as const };
  const foreign = '192.0.2.9 mirror-hub.example\n';
  t.deepEqual(plan(`${block}${foreign}`, entries, policy as never), {
    text: foreign,
    reasons: ['ForeignHostsLine'],
  });
});

test('a name in a comment is no foreign line', (t) => {
  t.deepEqual(plan('# 192.0.2.9 mirror-hub.example\n').reasons, []);
});

test('another mirror with the same name is reported and not fought', (t) => {
  const other = block.replaceAll('hub', 'two').replaceAll('mirror-two', 'mirror-hub');
  t.deepEqual(plan(`${other}${block}`), { text: undefined, reasons: ['NameOfOtherMirror'] });
});

const damaged: Record<string, [before: string, after: string]> = {
  'without its end': [block.replace(/^.*end hub\n/m, ''), block],
  'without its begin': [block.replace(/^.*begin hub.*\n/, ''), block],
  twice: [`${block}127.0.0.1 localhost\n${block}`, `${block}127.0.0.1 localhost\n`],
  'with a foreign line inside': [
    block.replace('10.96', '192.0.2.1 foreign\n10.96'),
    `${block}192.0.2.1 foreign\n`,
  ],
  'with an edited address': [block.replace('10.96.0.10', '10.9.9.9'), block],
  'with CRLF line ends': [block.replaceAll('\n', '\r\n'), block],
  'without its last line end': [block.trimEnd(), block],
};

for (const [title, [before, after]] of Object.entries(damaged)) {
  test(`a block ${title} is healed and foreign lines stay`, (t) => {
    t.is(plan(`10.0.0.1 first\n${before}`).text, `${after.replace(block, `${block}10.0.0.1 first\n`)}`);
  });
}

test('mirrors share a file: each has its block and takes only that away', (t) => {
  const one = planHostsFile(Buffer.from('x'), entries, hub).content!;
  const two = planHostsFile(one, [{ address: '10.0.0.2', name: 'two' }], { ...hub, mirror: 'hub-2' })
    .content!;
  t.deepEqual(mirrorsIn(two).sort(), ['hub', 'hub-2']);
  t.is(planHostsFile(two, entries, hub).content, undefined);
  t.is(withoutMirrors(two, (mirror) => mirror === 'hub-2').toString(), one.toString());
});

const anyFile = fc.oneof(
  fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
  fc
    .array(
      fc.constantFrom(
        '127.0.0.1',
        '\t',
        ' ',
        'localhost',
        '\r\n',
        '\n',
        '#',
        '\xff',
        '\x00',
        '::1',
        'mirror-hub.example',
      ),
    )
    .map((parts) => Buffer.from(parts.join(''), 'latin1')),
);

test('taking the block off any file gives exactly the bytes from before', (t) => {
  fc.assert(
    fc.property(anyFile, (file) => {
      const wired = planHostsFile(file, entries, hub).content;
      t.truthy(wired);
      t.is(planHostsFile(wired, entries, hub).content, undefined);
      t.deepEqual(planHostsFile(wired, [], hub).content, file);
      t.deepEqual(
        withoutMirrors(wired!, () => true),
        file,
      );
    }),
  );
  t.pass();
});

test('whatever happens to the lines of a wired file, healing keeps every foreign line', (t) => {
  const lines = fc.constantFrom(...block.trimEnd().split('\n'), '10.0.0.1 a', '10.0.0.2 b', '# c');
  fc.assert(
    fc.property(fc.array(lines, { maxLength: 12 }), (some) => {
      const before = Buffer.from(some.map((line) => `${line}\n`).join(''));
      const after = planHostsFile(before, entries, hub).content ?? before;
      const foreign = some.filter((line) => !line.includes('registry-mirror-operator'));
      const rest = after.toString().replace(block, '');
      t.is(rest, foreign.map((line) => `${line}\n`).join(''));
    }),
  );
});
