import test from 'ava';
import { durationText, sizeText } from '../../../src/cli/size-text.ts';

test('sizes have three digits at most and a unit', (t) => {
  const sizes: [number, string][] = [
    [0, '0 B'],
    [999, '999 B'],
    [1000, '1.0 KiB'],
    [1536, '1.5 KiB'],
    [10 * 1024 ** 2, '10.0 MiB'],
    [126.4 * 1024 ** 2, '126 MiB'],
    [999.99 * 1024 ** 2, '1000 MiB'],
    [3.25 * 1024 ** 3, '3.3 GiB'],
    [5000 * 1024 ** 4, '5000 TiB'],
  ];
  for (const [bytes, text] of sizes) t.is(sizeText(bytes), text);
});

test('durations become coarser as they grow', (t) => {
  t.deepEqual([0, 4.21, 61.4, 599, 3600].map(durationText), ['0.0 s', '4.2 s', '61 s', '599 s', '60 min']);
});
