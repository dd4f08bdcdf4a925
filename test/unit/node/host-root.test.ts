import * as fs from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { resolveInRoot } from '../../../src/node/host-root.ts';
import { makeSandbox } from './sandbox.ts';

test('links are followed as the host follows them and never lead out of the root', (t) => {
  const box = makeSandbox();
  t.teardown(box.remove);
  const link = (target: string, path: string) => fs.symlinkSync(target, join(box.root, path));
  link('/etc/static/hosts', 'etc/hosts');
  link('../../../../../../run/dir', 'etc/static');
  link('loop', 'etc/loop');
  box.put('run/dir/hosts', '');
  const resolve = (path: string) => resolveInRoot(fs, box.root, path);
  t.is(resolve('/etc/hosts'), join(box.root, 'run/dir/hosts'));
  t.is(resolve('/etc/../../../etc/passwd'), join(box.root, 'etc/passwd'));
  t.is(resolve('/not/there'), join(box.root, 'not/there'));
  t.throws(() => resolve('/etc/loop/x'), { code: 'ELOOP' });
});

test('a link to what is not there is refused, so that nothing is made where nothing of the host is mounted', (t) => {
  const box = makeSandbox();
  t.teardown(box.remove);
  fs.symlinkSync('/data/docker', join(box.root, 'etc/docker'));
  t.throws(() => resolveInRoot(fs, box.root, '/etc/docker/certs.d/x/ca.crt'), { code: 'ENOLINK' });
});
