import * as fs from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import type { FileCalls } from '../../src/node/files.ts';
import { certificateTwo } from '../unit/node/certificates.ts';
import { faultyFiles, makeSandbox, positions, type Sandbox, type TestOptions } from '../unit/node/sandbox.ts';

const faults = ['kill-within', 'kill-after', 'fail'] as const;
const original = '127.0.0.1 localhost\r\n\tx \xff';

interface Scenario {
  readonly title: string;
  /** Brings the node where the swept pass starts. */
  readonly prepare: (box: Sandbox) => Promise<unknown>;
  readonly swept: (box: Sandbox) => TestOptions;
}

const scenarios: Scenario[] = [
  { title: 'a first wiring', prepare: async () => undefined, swept: (box) => box.options() },
  {
    title: 'a change of CA, name and address',
    prepare: async (box) => {
      await box.pass(box.options());
      fs.writeFileSync(box.caFile, certificateTwo);
    },
    swept: (box) =>
      box.options({
        entries: [{ address: 'fd00::1', name: 'new' }],
        certificateNames: ['new', 'mirror-hub.example'],
      }),
  },
  {
    title: 'a restore',
    prepare: (box) => box.pass(box.options()),
    swept: (box) => box.options({ mode: 'restore' }),
  },
  {
    title: 'a restore beside another mirror',
    prepare: async (box) => {
      await box.pass(
        box.options({ mirror: 'two', entries: [{ address: '::2', name: 'two' }], certificateNames: ['two'] }),
      );
      await box.pass(box.options());
    },
    swept: (box) => box.options({ mode: 'restore' }),
  },
];

for (const scenario of scenarios) {
  for (const fault of faults) {
    test(`${fault} at any file-system call of ${scenario.title}: the hosts file is old or new, the next pass converges`, async (t) => {
      const { before, after, swept } = await undisturbed(scenario, fault);
      t.true(swept.length > 0);
      for (const at of swept) {
        const box = await prepared(scenario);
        try {
          const seen = () => t.true([before, after].includes(box.get('etc/hosts')), `call ${at}`);
          await interrupted(box, scenario, faultyFiles(fault, at, { seen }));
          t.true((await box.pass(scenario.swept(box))).complete, `call ${at}`);
          t.is(box.get('etc/hosts'), after);
          t.deepEqual(box.tree(), await expectedTree(scenario), `call ${at}`);
        } finally {
          box.remove();
        }
      }
    });
  }
}

for (const fault of faults) {
  test(`${fault} at any call of an overwrite in place: the next pass finishes or repeats it`, async (t) => {
    for (const scenario of scenarios.filter(({ title }) => title !== 'a change of CA, name and address')) {
      const { before, after, swept } = await undisturbed(scenario, fault, true);
      for (const at of swept) {
        const box = await prepared(scenario);
        const busy = join(box.root, 'etc/hosts');
        try {
          await interrupted(box, scenario, faultyFiles(fault, at, { busy }));
          if (fault === 'fail') t.true([before, after].includes(box.get('etc/hosts')), `call ${at}`);
          await box.pass(scenario.swept(box), faultyFiles('fail', 0, { busy }));
          t.is(box.get('etc/hosts'), after, `${scenario.title}, call ${at}`);
          t.deepEqual(
            fs.readdirSync(join(box.root, 'etc')).filter((name) => name.endsWith('.tmp')),
            [],
          );
        } finally {
          box.remove();
        }
      }
    }
  });
}

async function prepared(scenario: Scenario): Promise<Sandbox> {
  const box = makeSandbox();
  box.put('etc/hosts', Buffer.from(original, 'latin1'));
  await scenario.prepare(box);
  return box;
}

async function undisturbed(scenario: Scenario, fault: (typeof faults)[number], inPlace = false) {
  const box = await prepared(scenario);
  const before = box.get('etc/hosts');
  const busy = inPlace ? { busy: join(box.root, 'etc/hosts') } : {};
  const files = faultyFiles('fail', 0, { ...busy, withPlaces: true });
  await box.pass(scenario.swept(box), files);
  const after = box.get('etc/hosts');
  box.remove();
  const swept = positions(fault, files);
  return { before, after, swept };
}

const trees = new Map<Scenario, Record<string, string>>();

async function expectedTree(scenario: Scenario): Promise<Record<string, string>> {
  const known = trees.get(scenario);
  if (known !== undefined) return known;
  const box = await prepared(scenario);
  await box.pass(scenario.swept(box));
  trees.set(scenario, box.tree());
  box.remove();
  return trees.get(scenario)!;
}

/** The pass throws where the fault hits outside of an action; which error does not matter. */
async function interrupted(box: Sandbox, scenario: Scenario, files: FileCalls): Promise<void> {
  await box.pass(scenario.swept(box), files).catch(() => undefined);
}
