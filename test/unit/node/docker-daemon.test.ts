import test from 'ava';
import fc from 'fast-check';
import { daemonFile, planDockerDaemon, planDockerDaemonRemoval } from '../../../src/node/docker-daemon.ts';
import type { FileState } from '../../../src/node/files.ts';
import { type FileRecord, originalOf } from '../../../src/node/journal.ts';
import { processorTime } from '../../support/processor-time.ts';

const url = 'http://127.0.0.1:31000';
const other = 'http://127.0.0.1:31001';

/** A node of one file and its record, on which plans are carried out as the applier does it. */
class Node {
  bytes: Buffer | undefined;
  record: FileRecord | undefined;
  signals = 0;

  constructor(content: string | Buffer | undefined) {
    this.bytes = content === undefined ? undefined : Buffer.from(content);
  }

  get text(): string | undefined {
    return this.bytes?.toString();
  }

  wire(mirror = 'hub', wanted = url, commandLine: string[] = []): string[] {
    const { record, read } = this;
    return this.#apply(planDockerDaemon({ mirror, url: wanted, commandLine, record, read }));
  }

  /** Until nothing is left to do, as a pass goes on once dockerd was told. */
  remove(leaves: (mirror: string) => boolean = () => true, known: string[] = []): string[] {
    const done = this.removeOnce(leaves, known);
    return done.includes('signal') ? [...done, ...this.remove(leaves, known)] : done;
  }

  removeOnce(leaves: (mirror: string) => boolean = () => true, known: string[] = [], owed = false): string[] {
    const { record, read } = this;
    return this.#apply(planDockerDaemonRemoval({ leaves, known, record, read, owed }));
  }

  read = (path: string): FileState => {
    if (path !== daemonFile) throw new Error(`Unexpected ${path}`);
    if (this.bytes === undefined) return { kind: 'absent' };
    return { kind: 'file', content: this.bytes, mode: 0o644, uid: 0, gid: 0 };
  };

  #apply({ actions, findings }: ReturnType<typeof planDockerDaemon>): string[] {
    for (const action of actions) {
      if (action.do === 'write') {
        const urls = { ...this.record?.urls, ...action.record.urls };
        const original = this.record?.original ?? originalOf(this.read(daemonFile));
        this.record = { kind: 'docker-daemon', path: daemonFile, original, urls };
        this.bytes = action.content;
      }
      if (action.do === 'delete') this.bytes = undefined;
      if (action.do === 'forget') this.record = undefined;
      if (action.do === 'signal') this.signals += 1;
    }
    return [...actions.map((action) => action.do), ...findings.map((finding) => finding.reason)];
  }
}

test('our URL goes first, in the formatting that is there', (t) => {
  const node = new Node('{\n  "debug": true,\n  "registry-mirrors": [\n    "https://one.example"\n  ]\n}\n');
  t.deepEqual(node.wire(), ['write', 'signal']);
  t.is(
    node.text,
    `{\n  "debug": true,\n  "registry-mirrors": [\n    "${url}",\n    "https://one.example"\n  ]\n}\n`,
  );
  t.deepEqual(node.wire(), []);
});

test('a missing key is put before the others', (t) => {
  const node = new Node('{\n\t"debug": true\n}');
  node.wire();
  t.is(node.text, `{\n\t"registry-mirrors": ["${url}"],\n\t"debug": true\n}`);
  t.deepEqual(node.removeOnce(), ['write', 'signal']);
  t.is(node.text, `{\n\t"registry-mirrors": [],\n\t"debug": true\n}`);
  t.deepEqual(
    node.removeOnce(() => true, [], true),
    [],
  );
  t.deepEqual(node.removeOnce(), ['write', 'forget', 'signal']);
  t.is(node.text, '{\n\t"debug": true\n}');
});

test('null is what dockerd takes for no mirrors: ours takes its place, and it comes back once dockerd was told of none', (t) => {
  const before = '{\n  "debug": true,\n  "registry-mirrors" : null\n}\n';
  const node = new Node(before);
  t.deepEqual(node.wire(), ['write', 'signal']);
  t.is(node.text, before.replace('null', `["${url}"]`));
  t.deepEqual(node.wire(), []);
  t.deepEqual(node.removeOnce(), ['write', 'signal']);
  t.is(node.text, before.replace('null', '[]'));
  t.deepEqual(node.removeOnce(), ['write', 'forget', 'signal']);
  t.is(node.text, before);
});

test('a null that somebody writes over ours is no mirror of ours any more', (t) => {
  const node = new Node('{"registry-mirrors": []}');
  node.wire();
  node.bytes = Buffer.from('{"registry-mirrors": null}');
  t.deepEqual(node.remove(), ['forget']);
  t.is(node.text, '{"registry-mirrors": null}');
  t.deepEqual(node.wire(), ['write', 'signal']);
});

test('an absent file is made and deleted again', (t) => {
  const node = new Node(undefined);
  t.deepEqual(node.wire(), ['write', 'signal']);
  t.is(node.text, `{"registry-mirrors":["${url}"]}\n`);
  t.deepEqual(node.remove(), ['write', 'signal', 'delete', 'forget', 'signal']);
  t.is(node.text, undefined);
});

test('an empty file is empty again', (t) => {
  for (const before of ['', '\n \n']) {
    const node = new Node(before);
    node.wire();
    t.is(node.text, `{"registry-mirrors":["${url}"]}\n`);
    node.remove();
    t.is(node.text, before);
  }
});

test('what others wrote into a file that we made stays', (t) => {
  const node = new Node(undefined);
  node.wire();
  node.bytes = Buffer.from(`{"debug": true, "registry-mirrors": ["${url}", "https://later.example"]}`);
  node.remove();
  t.is(node.text, '{"debug": true, "registry-mirrors": ["https://later.example"]}');
});

test('a URL that the file had before us is not ours', (t) => {
  const before = `{"registry-mirrors": ["https://one.example", "${url}/"]}`;
  const node = new Node(before);
  t.deepEqual(node.wire(), []);
  node.wire('two', other);
  node.remove();
  t.is(node.text, before);
});

test('ours goes back to the front when a foreign one was put before it', (t) => {
  const node = new Node('{"registry-mirrors": ["https://one.example"]}');
  node.wire();
  node.bytes = Buffer.from(`{"registry-mirrors": ["https://one.example", "${url}"]}`);
  node.wire();
  t.is(node.text, `{"registry-mirrors": ["${url}","https://one.example"]}`);
});

test('a changed port replaces the URL', (t) => {
  const node = new Node('{}');
  node.wire();
  node.wire('hub', other);
  t.is(node.text, `{"registry-mirrors": ["${other}"]}`);
  node.remove();
  t.is(node.text, '{}');
});

test('mirrors share the file: each takes its own away, the last one the record', (t) => {
  const node = new Node('{}');
  node.wire();
  node.wire('two', other);
  t.deepEqual(node.wire(), [], 'ours do not fight');
  t.deepEqual(
    node.remove((mirror) => mirror === 'hub'),
    ['write', 'signal'],
  );
  t.is(node.text, `{"registry-mirrors": ["${other}"]}`);
  t.deepEqual(
    node.remove((mirror) => mirror === 'two'),
    ['write', 'signal', 'write', 'forget', 'signal'],
  );
  t.is(node.text, '{}');
});

test('with the journal lost what is known goes', (t) => {
  const node = new Node('{"registry-mirrors": ["https://one.example"]}');
  node.wire();
  node.record = undefined;
  t.deepEqual(node.wire(), []);
  node.remove(() => true, [url]);
  t.is(node.text, '{"registry-mirrors": ["https://one.example"]}');
});

test('a record of a file that somebody replaced is forgotten', (t) => {
  const node = new Node('{}');
  node.wire();
  node.bytes = Buffer.from('{"debug": true}');
  t.deepEqual(node.remove(), ['forget']);
  node.bytes = undefined;
  t.deepEqual(node.remove(), []);
});

const refusals: Record<string, string | Buffer> = {
  'no JSON': '{"a": ',
  'JSON with a comment': '{} // no',
  'an array': '[]',
  'a string': '"registry-mirrors"',
  null: 'null',
  'a key of a wrong type': '{"registry-mirrors": "https://one.example"}',
  'a key with numbers': '{"registry-mirrors": ["a", 1]}',
  'a key twice': '{"registry-mirrors": [], "registry-mirrors": []}',
  'UTF-16': Buffer.from('\ufeff{}', 'utf16le'),
};

for (const [title, content] of Object.entries(refusals)) {
  test(`a file that is ${title} or holds it is left and said`, (t) => {
    const node = new Node(content);
    t.deepEqual(node.wire(), ['UnparsableFile']);
    t.deepEqual(node.bytes, Buffer.from(content));
    t.deepEqual(node.remove(), []);
  });
}

test('a wired file that no longer parses blocks its removal until somebody mends it', (t) => {
  const node = new Node('{}');
  node.wire();
  node.bytes = Buffer.from(`{"registry-mirrors": ["${url}"],}`);
  t.deepEqual(node.remove(), ['UnparsableFile']);
  node.bytes = Buffer.from('{');
  t.deepEqual(node.remove(), ['forget']);
});

test('a dockerd that is told its mirrors or another file by its arguments is left and said', (t) => {
  const node = new Node('{}');
  t.deepEqual(node.wire('hub', url, ['dockerd', '--registry-mirror=https://one.example']), ['MirrorFlag']);
  t.deepEqual(node.wire('hub', url, ['dockerd', '--config-file', '/etc/other.json']), ['OtherConfigFile']);
  t.deepEqual(node.wire('hub', url, ['dockerd', `--config-file=${daemonFile}`]), ['write', 'signal']);
});

test('a dockerd that was given the argument after the wiring can start again: ours goes', (t) => {
  const node = new Node('{}');
  node.wire();
  const commandLine = ['dockerd', '--registry-mirror', 'https://one.example'];
  t.deepEqual(node.wire('hub', url, commandLine), ['write', 'forget', 'signal', 'MirrorFlag']);
  t.is(node.text, '{}');
  t.deepEqual(node.wire('hub', url, commandLine), ['MirrorFlag']);
});

test('a folder, and a link out of the root, are left and said', (t) => {
  for (const state of [{ kind: 'folder' }, { kind: 'unusable', why: 'ENOLINK' }] as const) {
    const plan = planDockerDaemon({ mirror: 'hub', url, record: undefined, read: () => state });
    t.deepEqual(plan.actions, []);
    t.like(plan.findings, [{ reason: 'UnusablePath', path: daemonFile, blocks: true }]);
  }
});

test('a byte order mark, CRLF and invalid UTF-8 survive', (t) => {
  const before = Buffer.from('\xef\xbb\xbf{\r\n  "a": "\xff\\"]{",\r\n  "b": []\r\n}\r\n', 'latin1');
  const node = new Node(before);
  node.wire();
  t.is(
    node.bytes?.toString('latin1'),
    before.toString('latin1').replace('"a"', `"registry-mirrors": ["${url}"],\r\n  "a"`),
  );
  node.remove();
  t.deepEqual(node.bytes, before);
});

const large: Record<string, string> = {
  'one string': `"${'\\\\x'.repeat(3_300_000)}"`,
  'a list': JSON.stringify(
    Array.from({ length: 200_000 }, (_, at) => ({ key: `value ${at}`, more: [at, {}] })),
  ),
  'brackets, a hundred thousand deep': '['.repeat(100_000) + ']'.repeat(100_000),
};

for (const [title, value] of Object.entries(large)) {
  test(`${title} of up to 10 MB costs little more than reading it`, (t) => {
    const node = new Node(`{"a": ${value}}`);
    const before = node.bytes;
    const ms = processorTime(() => {
      t.deepEqual(node.wire(), ['write', 'signal']);
      node.remove();
    });
    t.true(before?.equals(node.bytes!));
    // Ten to twenty times what V8 takes for it; seconds would say more of the machine.
    const reading = processorTime(() => JSON.parse(String(before)));
    t.true(ms < 60 * reading, `${ms} ms, reading ${reading} ms`);
  });
}

const blank = fc.string({ unit: fc.constantFrom(' ', '\n', '\t', '\r\n'), maxLength: 3 });
const words = fc.constantFrom('a', 'b]', '"{', 'c,\\', '\u00e9', '\ud83d\ude00', 'registry-mirror');

/** JSON text of any value with any white space between its parts. */
const anyValue = fc.letrec<{ value: string }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 3 },
    fc
      .oneof(
        fc.integer(),
        fc.boolean(),
        fc.constant(null),
        fc.double({ noNaN: true, noDefaultInfinity: true }),
        words,
      )
      .map((value) => JSON.stringify(value)),
    listText('[', ']', tie('value')),
    listText('{', '}', memberText(words, tie('value'))),
  ),
})).value;

function listText(open: string, close: string, item: fc.Arbitrary<string>): fc.Arbitrary<string> {
  return fc
    .tuple(fc.array(fc.tuple(blank, item, blank), { maxLength: 4 }), blank)
    .map(([items, inside]) => open + (items.map((parts) => parts.join('')).join(',') || inside) + close);
}

function memberText(key: fc.Arbitrary<string>, value: fc.Arbitrary<string>): fc.Arbitrary<string> {
  return fc
    .tuple(key, blank, blank, value)
    .map(([name, before, after, text]) => `${JSON.stringify(name)}${before}:${after}${text}`);
}

const urls = fc
  .constantFrom('https://one.example', 'https://two.example/', 'http://[::1]:5000')
  .map((each) => JSON.stringify(each));

const ports: Record<string, number> = { hub: 31_000, two: 31_001, three: 31_002 };

/** A daemon.json: unknown keys, perhaps the key of mirrors somewhere among them. */
const anyFile = fc
  .tuple(
    fc.array(memberText(words, anyValue), { maxLength: 4 }),
    fc.option(
      memberText(fc.constant('registry-mirrors'), fc.oneof(listText('[', ']', urls), fc.constant('null'))),
    ),
    fc.nat(4),
    fc.array(blank, { minLength: 14, maxLength: 14 }),
  )
  .map(([members, mirrors, at, blanks]) => {
    const all = mirrors === null ? members : members.toSpliced(at, 0, mirrors);
    const spaced = all.map((member, index) => `${blanks[index * 2]}${member}${blanks[index * 2 + 1]}`);
    return `${blanks[10]}{${spaced.join(',') || blanks[11]}}${blanks[12]}`;
  });

test('any daemon.json: wired once it has our URL first and all else as before, wired twice nothing happens, restored it has the bytes from before', (t) => {
  fc.assert(
    fc.property(anyFile, fc.array(fc.constantFrom('hub', 'two', 'three')), (before, mirrors) => {
      const node = new Node(before);
      const was = JSON.parse(before);
      node.wire();
      t.deepEqual(JSON.parse(node.text!), {
        ...was,
        'registry-mirrors': [url, ...(was['registry-mirrors'] ?? [])],
      });
      t.deepEqual(node.wire(), []);
      for (const mirror of mirrors) node.wire(mirror, `http://127.0.0.1:${ports[mirror]}`);
      for (const mirror of mirrors) node.remove((each) => each === mirror);
      node.remove();
      t.is(node.text, before);
      t.is(node.record, undefined);
    }),
    { numRuns: 500 },
  );
  t.pass();
});
