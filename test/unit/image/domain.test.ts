import test from 'ava';
import { withDomain } from '../../../src/image/domain.ts';
import { isImageReference } from '../../../src/image/reference.ts';

const rows = [
  ['nginx:1', 'r.local/library/nginx:1'],
  ['org/app', 'r.local/org/app'],
  ['docker.io/nginx', 'r.local/library/nginx'],
  ['registry-1.docker.io/nginx', 'r.local/library/nginx'],
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

test('what is no image reference stays as it is', (t) => {
  t.is(withDomain('a//b', 'r.local'), 'a//b');
});
