/** Recorded answers of imageswap 1.5.3 (`original`) and what is right (`expected`; null: unchanged). */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { legacyStage } from '../../../../src/image/imageswap/legacy.ts';
import { parseMap } from '../../../../src/image/imageswap/parse-map.ts';
import { imageswapStages } from '../../../../src/image/imageswap/stages.ts';
import { settle } from '../../../../src/image/settle.ts';

interface Vector {
  readonly maps?: string;
  readonly legacyPrefix?: string;
  readonly image: string;
  readonly expected: string | null;
}

const vectors = readFileSync(join(import.meta.dirname, 'vectors.jsonl'), 'utf8')
  .split('\n')
  .filter((line) => line !== '')
  .map((line) => JSON.parse(line) as Vector);

for (const { maps, legacyPrefix, image, expected } of vectors) {
  const map = legacyPrefix === undefined ? JSON.stringify(maps) : `prefix ${legacyPrefix}`;
  test(`${image} with ${map} becomes ${expected ?? 'nothing else'}`, (t) => {
    const stages =
      legacyPrefix === undefined
        ? imageswapStages(parseMap(maps ?? '').entries)
        : [legacyStage(legacyPrefix)];
    const { result } = settle(stages, image);
    t.is(result, expected ?? image);
    t.is(settle(stages, result).result, result);
  });
}

test('there are 65 of them', (t) => {
  t.is(vectors.length, 65);
});
