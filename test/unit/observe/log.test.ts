import { spawnSync } from 'node:child_process';
import { openSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';

const log = join(import.meta.dirname, '../../../src/observe/log.ts');

test('a line that cannot be written ends nobody', (t) => {
  const script = `
    import { createLogger } from ${JSON.stringify(log)};
    const log = createLogger();
    for (let line = 0; line < 3; line += 1) log.warn({ line }, 'The disk is full');
    setTimeout(() => { log.warn('still'); console.log('goes on'); }, 50);
  `;
  const stdio = ['ignore', 'pipe', openSync('/dev/full', 'w')] as const;
  const { status, stdout } = spawnSync(process.execPath, ['--input-type=module', '--eval', script], {
    stdio: [...stdio],
  });
  t.is(stdout.toString(), 'goes on\n');
  t.is(status, 0);
});
