import test from 'ava';
import { fileOfKey, parseCacheKey, sliceKey } from '../../../../../src/cache/broker/store/cache-key.ts';
import { parseDigest } from '../../../../../src/registry/digest.ts';

const hex = 'a'.repeat(64);
const digest = parseDigest(`sha256:${hex}`)!;
const range = 'bytes=0-8388607';

const known = [
  [`m|blob|${digest.text}|${range}`, { kind: 'blob', mirror: 'm', digest, range }],
  [
    `plain|m|blob|library/app|${digest.text}|${range}`,
    { kind: 'blob', mirror: 'm', repository: 'library/app', digest, range },
  ],
  [
    `m|manifest|library/app|${digest.text}`,
    { kind: 'manifest', mirror: 'm', repository: 'library/app', digest },
  ],
  ['m|tag|0123|library/app|1.0|any|GET', { kind: 'tag', mirror: 'm', repository: 'library/app', tag: '1.0' }],
  ['m|tag|0123|app|1|exact|HEAD|more', { kind: 'tag', mirror: 'm', repository: 'app', tag: '1' }],
  [
    'm|list|0123|/v2|library/app|tags/list|n=1&last=|&ns=',
    { kind: 'list', mirror: 'm', repository: 'library/app', path: 'tags/list' },
  ],
  [
    'fallback|m|failed|0123|/v2|library/app|manifests/1|any|GET',
    { kind: 'failed', mirror: 'm', repository: 'library/app', object: 'manifests/1' },
  ],
  // Mirrors that are named as kinds of addresses and of keys are.
  [`plain|blob|${digest.text}|${range}`, { kind: 'blob', mirror: 'plain', digest, range }],
  [
    `plain|list|blob|app|${digest.text}|${range}`,
    { kind: 'blob', mirror: 'list', repository: 'app', digest, range },
  ],
  [
    'plain|tag|failed|0123|/v2|app|tags/list|any|GET',
    { kind: 'failed', mirror: 'tag', repository: 'app', object: 'tags/list' },
  ],
] as const;

for (const [text, key] of known) {
  test(`${text.replaceAll(hex, '…')} is understood`, (t) => {
    t.deepEqual(parseCacheKey(text) as unknown, key);
  });
}

for (const text of [
  '',
  'm',
  '|blob|x|y',
  'm|other|a|b',
  'm|blob|sha256:00|bytes=0-1',
  `m|blob|Not/a/Name|${digest.text}|${range}`,
  'm|manifest|app|1.0',
  'm|tag|0123|app|',
  'm|tag|0123|../app|1',
  'm|list|0123|/v2|UPPER|tags/list',
]) {
  test(`"${text.replaceAll(hex, '…')}" is none of our keys`, (t) => {
    t.is(parseCacheKey(text), undefined);
  });
}

test('the key of a slice is understood, and its file lies where nginx puts it', (t) => {
  const key = sliceKey('m', digest.text, 8_388_608, 8_388_608);
  t.is(key, `m|blob|${digest.text}|bytes=8388608-16777215`);
  t.like(parseCacheKey(key), { kind: 'blob', range: 'bytes=8388608-16777215' });
  t.is(fileOfKey('a'), '1/66/0cc175b9c0f1b6a831c399e269772661');
});
