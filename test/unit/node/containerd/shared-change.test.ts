import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import {
  planContainerdConfig,
  planContainerdConfigRemoval,
} from '../../../../src/node/containerd/configure.ts';
import { apply, openHost, recordedOf, viewOf } from '../host.ts';
import { type Fault, faultyFiles } from '../sandbox.ts';

const file = '/etc/containerd/config.toml';
const before = 'version = 2\n';

function makeNode(t: ExecutionContext) {
  // Memory where there is such a folder: thousands of fsyncs.
  const parent = fs.existsSync('/dev/shm') ? '/dev/shm' : tmpdir();
  const root = fs.mkdtempSync(join(parent, 'shared-change-'));
  t.teardown(() => fs.rmSync(root, { recursive: true, force: true }));
  fs.mkdirSync(join(root, 'etc/containerd'), { recursive: true });
  fs.writeFileSync(join(root, file), before, { mode: 0o640 });
  const step = (mirror: string, leaves: boolean, files = fs as Parameters<typeof openHost>[2]) => {
    const host = openHost(root, () => ({ sent: [] }), files);
    const { read, list, records } = viewOf(host);
    const [record] = recordedOf({ read, list, records }, 'containerd-config');
    const lists = (path: string) => list(path) ?? [];
    const { actions } = leaves
      ? planContainerdConfigRemoval({ leaves: (each) => each === mirror, record, read })
      : planContainerdConfig({ mirror, found: true, release: '1.7.27', record, read, list: lists });
    return apply(host, actions).map(({ action, error }) => (error === undefined ? action.do : String(error)));
  };
  return {
    wire: (mirror: string, files?: Parameters<typeof openHost>[2]) => step(mirror, false, files),
    unwire: (mirror: string, files?: Parameters<typeof openHost>[2]) => step(mirror, true, files),
    text: () => fs.readFileSync(join(root, file), 'utf8'),
    mode: () => fs.statSync(join(root, file)).mode & 0o777,
    modified: () => fs.statSync(join(root, file)).mtimeMs,
  };
}

test('a second mirror leaves the file as it is, and the journal holds both until each is gone', (t) => {
  const node = makeNode(t);
  t.deepEqual(node.wire('hub'), ['write']);
  const modified = node.modified();
  t.deepEqual(node.wire('two'), ['note']);
  t.deepEqual(node.wire('two'), []);
  t.deepEqual(node.unwire('hub'), ['note']);
  t.is(node.modified(), modified);
  t.deepEqual(node.unwire('two'), ['write', 'forget']);
  t.is(node.text(), before);
  t.is(node.mode(), 0o640);
  t.deepEqual(node.unwire('two'), []);
});

for (const fault of ['kill-before', 'kill-after', 'kill-within', 'fail'] as Fault[]) {
  test(`an agent that ends at any call (${fault}) leaves nothing that the next pass does not mend`, (t) => {
    const steps = [
      ['wire', 'hub'],
      ['wire', 'two'],
      ['unwire', 'hub'],
      ['unwire', 'two'],
    ] as const;
    for (let at = 1, faults = 1; faults > 0; at += 1) {
      const node = makeNode(t);
      faults = 0;
      for (const [what, mirror] of steps) {
        const files = faultyFiles(fault, at);
        try {
          node[what](mirror, files);
        } catch (error) {
          if (files.calls < at) throw error;
        }
        if (files.calls >= at) faults += 1;
        node[what](mirror);
        t.is(node.text().includes('config_path'), what === 'wire' || mirror === 'hub');
      }
      t.is(node.text(), before);
      t.is(node.mode(), 0o640);
    }
  });
}
