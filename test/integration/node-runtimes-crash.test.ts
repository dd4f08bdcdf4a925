import test from 'ava';
import type { FileCalls } from '../../src/node/files.ts';
import { restoreMirrors } from '../../src/node/pass.ts';
import { configuration, everyRuntime, sharedAgent, wiredFiles } from '../unit/node/runtime-node.ts';
import { faultyFiles, makeSandbox, positions, type Sandbox, toolsWith } from '../unit/node/sandbox.ts';

interface Sweep {
  readonly title: string;
  readonly prepare: (box: Sandbox) => Promise<unknown>;
  readonly act: (box: Sandbox, files: FileCalls) => Promise<unknown>;
}

const wire = (box: Sandbox, files?: FileCalls) => box.pass(sharedAgent(box), files);
const nothing = () => undefined;

const sweeps: readonly Sweep[] = [
  { title: 'a wiring of every runtime', prepare: async () => undefined, act: wire },
  {
    title: 'a restore of every runtime',
    prepare: wire,
    act: (box, files) => restoreMirrors(box.options(), toolsWith(files), () => true, { facts: everyRuntime }),
  },
];

function linesOf(tree: Record<string, string>): string[] {
  return (tree['etc/hosts'] ?? '').replace(/^file \d+ \d+:\d+ /, '').split('\n');
}

/** Valid JSON, with that in it. */
function isWhole(file: string | undefined, pattern: RegExp): boolean {
  const text = (file ?? '').replace(/^file \d+ \d+:\d+ /, '');
  return pattern.test(text) && typeof JSON.parse(text) === 'object';
}

/** The mirrors' blocks may stand in any order. */
function inAnyOrder(tree: Record<string, string>): Record<string, unknown> {
  return { ...tree, 'etc/hosts': linesOf(tree).sort() };
}

for (const { title, prepare, act } of sweeps) {
  for (const fault of ['kill-within', 'kill-after', 'fail'] as const) {
    test(`${fault} at any file-system call of ${title}: no runtime sees half a file, and the next pass ends where it should`, async (t) => {
      const start = async () => {
        const box = makeSandbox();
        for (const [path, text] of Object.entries(configuration)) box.put(path, text);
        await prepare(box);
        return box;
      };
      const model = await start();
      const before = model.tree();
      const counting = faultyFiles('fail', 0, { withPlaces: true });
      await act(model, counting);
      const after = model.tree();
      model.remove();
      t.true(counting.calls > 200);
      const wanted = wiredFiles.map((path) => new Set([before[path], after[path]]));
      const lines = new Set([before, after].flatMap(linesOf));
      const swept = positions(fault, counting);
      for (const at of swept) {
        const box = await start();
        await act(box, faultyFiles(fault, at)).catch(nothing);
        const seen = box.tree();
        wiredFiles.forEach((path, each) => {
          // Of two mirrors one may have to wait.
          const isPart = path === 'etc/hosts' && linesOf(seen).every((line) => lines.has(line));
          // dockerd has to be told an empty list before it forgets one.
          const isEmptied =
            path === 'etc/docker/daemon.json' && isWhole(seen[path], /"registry-mirrors": \[\]/);
          if (!wanted[each]?.has(seen[path]) && !isPart && !isEmptied)
            t.fail(`call ${at}: ${path} is ${seen[path]}`);
        });
        await act(box, faultyFiles('fail', 0));
        t.deepEqual(inAnyOrder(box.tree()), inAnyOrder(after), `call ${at}`);
        box.remove();
      }
      t.log(`${swept.length} of ${counting.calls} calls`);
    });
  }
}
