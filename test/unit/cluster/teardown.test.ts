import test from 'ava';
import { mountsBelow } from '../../cluster/teardown.ts';

test('mounts below a folder are found in their order, with blanks in their names, and no others', (t) => {
  const text = [
    '22 1 254:0 / / rw shared:1 - ext4 /dev/vda rw',
    '40 22 254:0 /usr /work/.cluster/a\\040b rw - ext4 /dev/vda rw',
    '41 40 0:22 / /work/.cluster/a\\040b/c rw - tmpfs tmpfs rw',
    '42 22 0:23 / /work/.cluster-other/d rw - tmpfs tmpfs rw',
    '',
  ].join('\n');
  t.deepEqual(mountsBelow('/work/.cluster', text), ['/work/.cluster/a b', '/work/.cluster/a b/c']);
});
