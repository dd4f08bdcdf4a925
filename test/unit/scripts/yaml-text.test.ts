import test from 'ava';
import { load } from 'js-yaml';
import {
  addBelow,
  addWithin,
  blockValue,
  editDocuments,
  replaceBlock,
  replaceOnce,
} from '../../../scripts/chart/yaml-text.ts';

const text = `spec:
  # Why two.
  replicas: 2
  template:
    containers:
      - name: a
        env:
          - name: ONE
            value: "1"
          - name: TWO
            value: "2"
      - name: b
`;

test('a block is its line and what lies deeper below it; comments elsewhere stay', (t) => {
  t.is(
    replaceBlock(text, '          - name: ONE', (lines) => lines.slice(0, 1)),
    text.replace('            value: "1"\n', ''),
  );
  t.is(
    replaceBlock(text, '  replicas:', () => ['  replicas: 3']),
    text.replace('replicas: 2', 'replicas: 3'),
  );
});

test('lines are added within a block and below it', (t) => {
  const more = addBelow(text, '          - name: TWO', ['          - name: THREE']);
  t.like(load(more), {
    spec: {
      template: {
        containers: [{ env: [{ name: 'ONE' }, { name: 'TWO' }, { name: 'THREE' }] }, { name: 'b' }],
      },
    },
  });
  t.regex(addWithin(text, '  template:', ['    first: 1']), /template:\n {4}first: 1\n {4}containers:/);
});

test('a block’s value is what it gives to its key, or a list with the one item', (t) => {
  t.is(blockValue(text, '  replicas:'), 2);
  t.deepEqual(blockValue(text, '          - name: ONE'), [{ name: 'ONE', value: '1' }]);
  t.deepEqual(blockValue(text, '      - name: b'), [{ name: 'b' }]);
});

test('the last block ends with the text', (t) => {
  t.deepEqual(blockValue('a: 1\nb:\n  c: 2', 'b:'), { c: 2 });
});

test('what is not there, or more than once, is an error that names it', (t) => {
  t.throws(() => replaceBlock(text, '  replica:', () => []), {
    message: /" {2}replica:" once, found it 0 times/,
  });
  t.throws(() => replaceBlock(`${text}${text}`, '  replicas:', () => []), { message: /found it 2 times/ });
  t.throws(() => replaceOnce('a b a', 'a', 'c'), { message: /"a" once, found it 2 times/ });
  t.throws(() => replaceOnce('b', 'a', 'c'), { message: /"a" once, found it 0 times/ });
});

test('only the documents that are meant are edited', (t) => {
  const documents = 'kind: A\nn: 1\n---\nkind: B\nn: 1\n';
  const edit = (document: string) => replaceOnce(document, 'n: 1', 'n: 2');
  t.is(
    editDocuments(documents, (one) => one.includes('kind: B'), edit),
    'kind: A\nn: 1\n---\nkind: B\nn: 2\n',
  );
  t.throws(() => editDocuments(documents, () => false, edit), { message: /found none/ });
});
