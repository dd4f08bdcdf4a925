import { readFile } from 'node:fs/promises';
import test from 'ava';
import { generatedFiles } from '../../../scripts/generated-files.ts';

for (const [file, content] of generatedFiles()) {
  test(`${file} is what \`npm run generate\` writes`, async (t) => {
    t.is(await readFile(new URL(`../../../${file}`, import.meta.url), 'utf8'), content);
  });
}
