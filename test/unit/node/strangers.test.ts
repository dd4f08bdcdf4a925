import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import test from 'ava';
import { type AgentParts, NodeAgent } from '../../../src/node/agent.ts';
import type { MirrorList } from '../../../src/node/options.ts';
import { createLogger } from '../../../src/observe/log.ts';
import { eventually } from '../../support/eventually.ts';
import { makeSandbox } from './sandbox.ts';

const log = createLogger({ level: 'silent' });

/** The agent of all mirrors, on a node where another agent has wired `hub`. */
async function scene(list: Partial<MirrorList>) {
  const box = makeSandbox();
  box.put('etc/hosts', '127.0.0.1 localhost\n');
  const clock = { now: 0 };
  const parts: AgentParts = {
    files: fs,
    lock: async () => async () => undefined,
    findRuntimes: async () => ({}),
    now: () => clock.now,
  };
  const own = new NodeAgent(box.options(), parts, log);
  const told = { list: { mirrors: [], whole: true, ...list } as MirrorList };
  const shared = new NodeAgent({ ...box.options(), mirrors: () => told.list }, parts, log);
  await own.once();
  const isWired = () => /mirror-hub/.test(box.get('etc/hosts'));
  return { box, clock, shared, own, told, isWired };
}

test('An agent of all mirrors does not fight with one whose mirror its list does not name yet', async (t) => {
  const { box, clock, shared, told, isWired } = await scene({});
  t.teardown(box.remove);
  for (clock.now = 0; clock.now < 120_000; clock.now += 30_000) {
    await shared.once();
    t.true(isWired(), `${clock.now}`);
  }
  told.list = { ...told.list, others: ['hub'] };
  for (; clock.now < 600_000; clock.now += 30_000) await shared.once();
  t.true(isWired());
});

test('What is said to be gone is taken back at once, and what nobody names after a while', async (t) => {
  const gone = await scene({ gone: ['hub'] });
  t.teardown(gone.box.remove);
  await gone.shared.once();
  t.false(gone.isWired());
  t.false(fs.existsSync(`${gone.box.root}/var/lib/registry-mirror-operator`), 'nothing to remember');
  const unknown = await scene({});
  t.teardown(unknown.box.remove);
  await unknown.shared.once();
  unknown.clock.now = 180_000;
  await unknown.shared.once();
  t.false(unknown.isWired());
});

test('An agent says by which list its last pass was made, and makes one for a list that is brought', async (t) => {
  const { box, shared, told } = await scene({ version: 7 });
  t.teardown(box.remove);
  t.is(shared.report(), undefined);
  t.false(shared.takeList('{}'), 'it takes none');
  await shared.once();
  t.is(shared.report()?.list, 7);
  const taken: string[] = [];
  const end = new AbortController();
  const parts: AgentParts = {
    ...{ files: fs, lock: async () => async () => undefined, findRuntimes: async () => ({}) },
  };
  const takeList = (body: string) => taken.push(body) === 1;
  const options = { ...box.options(), interval: 3_600_000, mirrors: () => told.list, takeList };
  const agent = new NodeAgent(options, parts, log);
  const running = agent.run(end.signal);
  t.teardown(async () => {
    end.abort();
    await running;
  });
  await eventually(() => assert.equal(agent.report()?.list, 7));
  told.list = { ...told.list, version: 8 };
  t.true(agent.takeList('BODY'));
  await eventually(() => assert.equal(agent.report()?.list, 8));
  told.list = { ...told.list, version: 9 };
  t.true(agent.takeList('OLDER'), 'it takes lists, if not this one');
  t.deepEqual(taken, ['BODY', 'OLDER']);
});
