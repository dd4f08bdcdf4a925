import test from 'ava';
import { isImageReference, withDomain } from '../../../src/image/domain.ts';

const rows = [
  ['nginx:1', 'r.local/library/nginx:1'],
  ['org/app', 'r.local/org/app'],
  ['docker.io/nginx', 'r.local/library/nginx'],
  ['ghcr.io/a/b:tag', 'r.local/a/b:tag'],
  ['localhost/x:1', 'r.local/x:1'],
  ['host:5000/x', 'r.local/x'],
] as const;

for (const [image, expected] of rows) {
  test(`${image} moves to ${expected}`, (t) => {
    t.is(withDomain(image, 'r.local'), expected);
    t.true(isImageReference(expected));
  });
}

test('what is no image reference is told apart', (t) => {
  for (const value of ['', 'a/B', 'a b', 'a:', 'a@sha256:12', 'a//b', '/a', 'a:b:c/d e', 'a\n'])
    t.false(isImageReference(value), value);
  for (const value of ['a', 'a.b:5000/c/d:T_1', `a@sha256:${'a'.repeat(64)}`, '[fd00::1]:5000/x'])
    t.true(isImageReference(value), value);
});
