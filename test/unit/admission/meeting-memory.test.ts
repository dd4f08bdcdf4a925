import test from 'ava';
import { MeetingMemory } from '../../../src/admission/meeting-memory.ts';

test('a meeting is told when it is new', (t) => {
  const memory = new MeetingMemory();
  const add = (image: string, result: string) => memory.add({ image, result });
  t.is(add('gcr.io/a/b:1', 'r.io/a/b:1'), undefined);
  t.is(add('gcr.io/a/b:2', 'r.io/a/b:2'), undefined, 'other tags are the same repository');
  t.deepEqual(add('quay.io/a/b', 'r.io/a/b'), { name: 'r.io/a/b', sources: ['gcr.io/a/b', 'quay.io/a/b'] });
  t.is(add('quay.io/a/b:3', 'r.io/a/b:3'), undefined, 'known');
  t.is(add('a/b', 'x.io/a/b'), undefined);
  t.deepEqual(add('ghcr.io/a/b', 'r.io/a/b')?.sources, ['gcr.io/a/b', 'ghcr.io/a/b', 'quay.io/a/b']);
});

test('names of one repository do not meet', (t) => {
  const memory = new MeetingMemory();
  t.is(memory.add({ image: 'nginx', result: 'r.io/library/nginx' }), undefined);
  t.is(memory.add({ image: 'docker.io/library/nginx:1', result: 'r.io/library/nginx:1' }), undefined);
});

test('the memory is bounded: of very many names the first are forgotten', (t) => {
  const memory = new MeetingMemory();
  for (let index = 0; index < 5_000; index += 1)
    memory.add({ image: `a.io/x-${index}`, result: `r.io/x-${index}` });
  t.is(memory.add({ image: 'b.io/x-0', result: 'r.io/x-0' }), undefined);
  t.not(memory.add({ image: 'b.io/x-4999', result: 'r.io/x-4999' }), undefined);
});
