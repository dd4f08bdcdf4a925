import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test from 'ava';
import { watchFolder } from '../../../src/node/watch-folder.ts';

test('a change is told by its name; a folder that is not there is watched by nobody', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'watched-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const changed = Promise.withResolvers<string | null>();
  const watcher = watchFolder(folder, changed.resolve);
  t.teardown(() => watcher?.close());
  writeFileSync(join(folder, 'file'), 'x');
  t.is(await changed.promise, 'file');
  t.is(
    watchFolder(join(folder, 'none'), () => undefined),
    undefined,
  );
});

test('where the kernel has no watch left nobody watches either, and nothing ends for it', async (t) => {
  const module = new URL('../../../src/node/watch-folder.ts', import.meta.url);
  const program = `
    const { watchFolder } = await import('${module}');
    console.log(watchFolder('/', () => undefined) === undefined);`;
  const script = 'echo 0 >/proc/sys/user/max_inotify_instances && exec "$@"';
  const command = [process.execPath, '--input-type=module', '--eval', program];
  const { stdout } = await promisify(execFile)('unshare', [
    ...['--user', '--map-root-user', 'sh', '-c', script, 'sh'],
    ...command,
  ]);
  t.is(stdout, 'true\n');
});
