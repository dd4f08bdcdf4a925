import test from 'ava';
import { parseYaml, YamlError } from '../../../src/standalone/yaml-lines.ts';

const text = `# comment
---
spec:
  list:
    - b: 1
      c: 2
    -
      d: 3
  "quoted": {x: 1,
    y: 2}
  empty:
  text: |
    spec:
    list:
  anchor: &anchor
    z: 1
  alias: *anchor
---
---
[1,
2]
`;

test('each field is found on the line of its key', (t) => {
  const [document, list] = parseYaml(text);
  const lines: [path: (string | number)[], line: number][] = [
    [[], 3],
    [['spec'], 3],
    [['spec', 'list'], 4],
    [['spec', 'list', 0], 5],
    [['spec', 'list', 0, 'c'], 6],
    [['spec', 'list', 1, 'd'], 8],
    [['spec', 'quoted', 'y'], 10],
    [['spec', 'empty'], 11],
    [['spec', 'text'], 12],
    [['spec', 'anchor', 'z'], 16],
    [['spec', 'alias', 'z'], 17],
  ];
  for (const [path, line] of lines) t.is(document?.lineOf(path), line, path.join('.'));
  t.is(list?.lineOf([1]), 21);
});

test('a field that is not there is looked for around its place', (t) => {
  const [document] = parseYaml(text);
  t.is(document?.lineOf(['spec', 'list', 7, 'c']), 4);
  t.is(document?.lineOf(['spec', 'gone', 'list']), 3);
});

test('empty documents are left out', (t) => {
  t.is(parseYaml(text).length, 2);
  t.is(parseYaml('').length, 0);
});

test('what is no YAML is refused with its line', (t) => {
  for (const [bad, line] of [
    ['a: 1\na: 2', 2],
    ['a: [', 1],
    ['a: 1\n b: 2', 2],
    ['a: *none', 1],
  ] as const) {
    t.is(t.throws(() => parseYaml(bad), { instanceOf: YamlError })?.line, line, bad);
  }
});

test('aliases that multiply are refused', (t) => {
  const rows = Array.from({ length: 2000 }, () => '- *a').join('\n');
  t.throws(() => parseYaml(`- &a x\n${rows}`), { instanceOf: YamlError });
});
