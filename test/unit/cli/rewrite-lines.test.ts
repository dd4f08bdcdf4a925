import test from 'ava';
import { rewriteLines, tableFaultLines } from '../../../src/cli/rewrite-lines.ts';
import { compileRules, rewriteImage } from '../../../src/image/rules/table.ts';

const steering = 'evil\u001b[2J\t\u009b2J';
const table = compileRules({ imageswap: { map: `default::\n[REPLACE]evil*::no_.local/\n\u001b]0;x::y` } });

test('what would steer a terminal, or part a line of columns, is a question mark', (t) => {
  const rewrite = rewriteImage(table, steering);
  const lines = rewriteLines(rewrite, {}, { explain: true });
  t.is(lines[0], 'evil?[2J??2J\tevil?[2J??2J\timageswap:2 [REPLACE]evil*');
  for (const line of lines.slice(1)) t.notRegex(line, /\p{Cc}/u);
  for (const line of tableFaultLines(table, { imageswapMaps: 'maps.conf' })) t.notRegex(line, /\p{Cc}/u);
});

test('as JSON an image is what it is', (t) => {
  const [line = ''] = rewriteLines(rewriteImage(table, steering), {}, { output: 'json' });
  t.is(JSON.parse(line).image, steering);
});
