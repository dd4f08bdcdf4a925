/** Writes what is generated and committed: CRDs and their pages, the chart, alerts and dashboard. A unit test fails when they are stale. */
import { writeFile } from 'node:fs/promises';
import { generatedFiles } from './generated-files.ts';

for (const [file, content] of generatedFiles()) {
  await writeFile(new URL(`../${file}`, import.meta.url), content);
}
