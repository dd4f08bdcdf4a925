import test from 'ava';
import fc from 'fast-check';
import { load } from 'js-yaml';
import { jsonText, nginxPath, nginxWord, renderTemplate } from '../../../src/cache/render.ts';

test('a template without one of its values is refused', (t) => {
  t.throws(() => renderTemplate('nginx.conf', {}));
  t.throws(() => renderTemplate('nginx.conf', { user: null }));
});

test('json prints what YAML reads back as the same value', (t) => {
  const text = fc.string({ unit: 'binary' });
  fc.assert(
    fc.property(
      fc.oneof(text, fc.double({ noNaN: true, noDefaultInfinity: true }), fc.boolean(), fc.array(text)),
      (value) => {
        if (Object.is(value, -0)) return;
        t.deepEqual(load(`key: ${jsonText(value)}`), { key: value });
      },
    ),
  );
  t.throws(() => jsonText(undefined), { instanceOf: TypeError });
});

test('nginx prints a bare word and refuses everything that is more or less than that', (t) => {
  t.is(nginxWord('host.example:5000'), 'host.example:5000');
  t.is(nginxWord(5000), '5000');
  const bad = ['', 'a b', 'a;b', 'a"b', "a'b", 'a$b', 'a\\b', 'a{b', 'a\nb', undefined, null, 1.5, {}];
  for (const value of bad) t.throws(() => nginxWord(value), { instanceOf: TypeError }, String(value));
});

test('a path is quoted, and refused where quotes cannot hold it', (t) => {
  t.is(nginxPath('/home/me/my {data}; #1'), '"/home/me/my {data}; #1"');
  for (const value of ['', 'a"b', "a'b", 'a$b', 'a\\b', 'a\nb', 'a\u0000', undefined, 1]) {
    t.throws(() => nginxPath(value), { instanceOf: TypeError }, String(value));
  }
});
