import test from 'ava';
import { proxyExemption } from '../../../src/registry/no-proxy.ts';

for (const [entry, url, exempt] of [
  ['*', 'https://anything.test', true],
  ['example.com', 'https://example.com', true],
  ['example.com', 'https://a.example.com', true],
  ['example.com', 'https://notexample.com', false],
  ['example.com', 'https://example.com.evil.test', false],
  ['EXAMPLE.com', 'https://Example.COM.', true],
  ['example.com.', 'https://example.com', true],
  [' example.com ', 'https://example.com', true],
  ['.example.com', 'https://a.example.com', true],
  ['.example.com', 'https://example.com', false],
  ['*.example.com', 'https://a.b.example.com', true],
  ['*.example.com', 'https://example.com', false],
  ['*.example.com', 'https://aexample.com', false],
  ['example.com:5000', 'https://example.com:5000', true],
  ['example.com:5000', 'https://example.com', false],
  ['example.com:443', 'https://example.com', true],
  ['example.com:80', 'http://example.com', true],
  ['example.com:443', 'http://example.com', false],
  ['.example.com:5000', 'https://a.example.com:5000', true],
  ['10.0.0.1', 'https://10.0.0.1:5000', true],
  ['10.0.0.1', 'https://10.0.0.10', false],
  ['10.0.0.1:5000', 'https://10.0.0.1:5000', true],
  ['10.0.0.1:5000', 'https://10.0.0.1', false],
  ['10.0.0.0/8', 'https://10.9.8.7', true],
  ['10.0.0.0/8', 'https://11.0.0.1', false],
  ['10.0.0.0/8', 'https://10.example.com', false],
  ['0.0.0.0/0', 'https://[::1]', false],
  ['fd00::/8', 'https://[fd12::1]:5000', true],
  ['::1', 'https://[::1]', true],
  ['[::1]', 'https://[0:0:0:0:0:0:0:1]', true],
  ['[::1]:5000', 'https://[::1]:5000', true],
  ['[::1]:5000', 'https://[::1]', false],
  ['localhost', 'https://localhost:5000', true],
  ['example.com', 'https://localhost', false],
  ['', 'https://example.com', false],
  ['.', 'https://example.com', false],
  ['*.', 'https://example.com', false],
  ['a*b', 'https://ab', false],
  ['10.0.0.0/33', 'https://10.0.0.1', false],
  ['10.0.0.0/', 'https://10.0.0.1', false],
] as const) {
  test(`NO_PROXY ${JSON.stringify(entry)} ${exempt ? 'exempts' : 'does not exempt'} ${url}`, (t) => {
    t.is(proxyExemption([entry])(new URL(url)), exempt);
  });
}

test('one of many entries is enough, none exempts nothing', (t) => {
  t.true(proxyExemption(['a.test', 'b.test'])(new URL('https://b.test')));
  t.false(proxyExemption([])(new URL('https://b.test')));
});
