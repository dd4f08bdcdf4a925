import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { NodeAgent } from '../../../src/node/agent.ts';
import { loopbackMirrors } from '../../../src/node/loopback-mirrors.ts';
import { createLogger } from '../../../src/observe/log.ts';
import { eventually } from '../../support/eventually.ts';
import { certificateTwo } from './certificates.ts';
import { type Changes, makeSandbox, refusingFiles, type Sandbox, toolsWith, wiredMirror } from './sandbox.ts';

const log = createLogger({ level: 'silent' });

function start(t: ExecutionContext, changes: Changes = {}, box = makeSandbox(), files = fs as never) {
  const end = new AbortController();
  const tools = { files, lock: async () => async () => undefined, findRuntimes: async () => ({}) };
  const running = new NodeAgent(box.options(changes), tools, log).run(end.signal);
  t.teardown(async () => {
    end.abort();
    await running.finally(box.remove);
  });
  return { box, end, running };
}

function ready(box: Sandbox): { mode: string; complete: boolean } {
  return JSON.parse(fs.readFileSync(box.options().readyFile, 'utf8'));
}

test('the agent wires, says so, follows the CA and repairs the hosts file without waiting for its timer', async (t) => {
  const { box } = start(t);
  await eventually(() => assert.partialDeepStrictEqual(ready(box), { mode: 'wire', complete: true }));
  fs.writeFileSync(box.caFile, certificateTwo);
  const certificate = 'etc/docker/certs.d/mirror-hub.example/ca.crt';
  await eventually(() => assert.ok(box.get(certificate).endsWith(certificateTwo)));
  box.put('etc/hosts', '127.0.0.1 localhost\n');
  await eventually(() => assert.match(box.get('etc/hosts'), /mirror-hub/));
  t.pass();
});

test('the timer alone is enough', async (t) => {
  const { box } = start(t, { interval: 100 });
  await eventually(() => assert.ok(ready(box).complete));
  fs.rmSync(join(box.root, 'etc/docker'), { recursive: true });
  await eventually(() =>
    assert.ok(fs.existsSync(join(box.root, 'etc/docker/certs.d/mirror-hub.example/ca.crt'))),
  );
  t.pass();
});

test('the end of an agent changes nothing on the node', async (t) => {
  const { box, end, running } = start(t);
  await eventually(() => assert.ok(ready(box).complete));
  const wired = box.tree();
  end.abort();
  await running;
  t.deepEqual(box.tree(), wired);
});

test('a node that cannot be wired is ready in mode wire', async (t) => {
  const { box } = start(t, { caFile: '/nowhere/ca.crt' });
  await eventually(() => assert.partialDeepStrictEqual(ready(box), { mode: 'wire', complete: false }));
  t.pass();
});

for (const [call, path] of [
  ['mkdirSync', 'var/lock/mirror-hostess'],
  ['readdirSync', 'var/lib/registry-mirror-operator/journal'],
] as const) {
  test(`an agent that may not ${call} ${path} says so and is ready, and wires once it may`, async (t) => {
    const box = makeSandbox();
    let isAllowed = false;
    const isRefused = (asked: string) => !isAllowed && asked === join(box.root, path);
    const { readyFile } = box.options();
    start(t, { interval: 50 }, box, refusingFiles('EACCES', [call], isRefused) as never);
    await eventually(() => assert.partialDeepStrictEqual(ready(box), { mode: 'wire', complete: false }));
    t.regex(fs.readFileSync(readyFile, 'utf8'), new RegExp(`WriteFailed.*"/${path}".*EACCES`));
    isAllowed = true;
    await eventually(() => assert.partialDeepStrictEqual(ready(box), { mode: 'wire', complete: true }));
  });

  test(`an agent that restores and may not ${call} ${path} is not ready`, async (t) => {
    const box = makeSandbox();
    await box.pass(box.options());
    fs.rmSync(join(box.root, 'var/lock'), { recursive: true, force: true });
    let refused = 0;
    const isRefused = (asked: string) => {
      const is = asked === join(box.root, path);
      if (is) refused += 1;
      return is;
    };
    const files = refusingFiles('EACCES', [call], isRefused) as never;
    start(t, { mode: 'restore', interval: 50 }, box, files);
    await eventually(() => assert.ok(refused > 2));
    t.false(fs.existsSync(box.options().readyFile));
    t.regex(box.get('etc/hosts'), /mirror-hub/);
  });
}

test('in mode restore the agent is ready only once the node is restored', async (t) => {
  const box = makeSandbox();
  await box.pass(box.options());
  fs.writeFileSync(box.options().readyFile, 'stale');
  const writable = join(box.root, 'writable');
  const stuck = new Proxy(fs, {
    get: (real, name: keyof typeof fs) => {
      if (!['openSync', 'unlinkSync'].includes(name) || fs.existsSync(writable)) return real[name];
      return (path: string, flags: string) => {
        if (path.startsWith(box.root)) throw Object.assign(new Error('read-only'), { code: 'EROFS' });
        return (real[name] as (path: string, flags: string) => unknown)(path, flags);
      };
    },
  });
  start(t, { mode: 'restore', interval: 50 }, box, stuck as never);
  await eventually(() => assert.ok(!fs.existsSync(box.options().readyFile)));
  t.regex(box.get('etc/hosts'), /mirror-hub/);
  box.put('writable', '');
  await eventually(() => assert.partialDeepStrictEqual(ready(box), { mode: 'restore', complete: true }));
  t.false(fs.existsSync(join(box.root, 'etc/hosts')));
});

for (const [reason, stays, unanswered] of [
  ['NotProbed', true],
  ['PortTaken', true],
  ['PortTaken', true, 'NotProbed'],
  ['PortTaken', false, 'Refused'],
  ['NginxDown', true],
  ['Refused', false],
  ['Untrusted', false],
] as const) {
  const why = unanswered === undefined ? reason : `${reason} and ${unanswered}`;
  test(`a line for the upstream's name ${stays ? 'stays' : 'goes'} where a mirror is not offered because of ${why}`, async (t) => {
    const box = makeSandbox();
    t.teardown(box.remove);
    const told = { reason, detail: '', ...(unanswered !== undefined && { unanswered }) };
    const standing = { name: 'hub', port: 29_001, offered: false, since: 1, ...told };
    const counts = { connections: 0, failed: 0, bytesToClients: 0, bytesFromClients: 0 };
    const parts = {
      ...toolsWith(fs),
      findRuntimes: async () => ({ docker: { running: true } }),
      forwarder: {
        update: () => undefined,
        status: () => [{ ...standing, ...counts }],
        findings: () => [],
      },
    };
    const names = [{ name: 'quay.example', upstream: true }];
    const certificateNames = ['quay.example', 'mirror-hub.example'];
    await new NodeAgent(box.options({ names, port: 29_001, certificateNames }), parts, log).once();
    t.is(/\tquay\.example\t/.test(box.get('etc/hosts')), stays);
  });
}

test('mirrors are forwarded to at the port of those that have the upstream behind them', (t) => {
  const mirror = wiredMirror('hub', '/ca.crt', { addresses: ['10.96.0.10', 'fd00::10'], port: 29_001 });
  const addresses = (more: object) => loopbackMirrors([{ ...mirror, ...more }]).map((each) => each.addresses);
  t.deepEqual(addresses({ fallbackPort: 5443 }), [['10.96.0.10:5443', '[fd00::10]:5443']]);
  t.deepEqual(addresses({}), [['10.96.0.10:443', '[fd00::10]:443']]);
});

test('runtimes are not led to a port of the loopback that another program has', async (t) => {
  const box = makeSandbox();
  t.teardown(box.remove);
  box.put('etc/docker/daemon.json', '{}');
  let reason = 'NotProbed';
  const counts = { connections: 0, failed: 0, bytesToClients: 0, bytesFromClients: 0 };
  const status = () => [
    { name: 'hub', port: 29_001, offered: false, since: 1, reason, detail: '', ...counts },
  ];
  const parts = {
    ...toolsWith(fs),
    findRuntimes: async () => ({ docker: { running: true } }),
    forwarder: { update: () => undefined, status, findings: () => [] },
  };
  const names = [{ name: 'docker.io', upstream: true }];
  const agent = new NodeAgent(box.options({ names, port: 29_001 }), parts, log);
  for (const [why, isLed] of [
    ['NotProbed', true],
    ['OfferedByOther', true],
    ['PortTaken', false],
    ['Answers', true],
  ] as const) {
    reason = why;
    await agent.once();
    const docker = agent.report()?.mirrors[0]?.runtimes.find(({ runtime }) => runtime === 'docker');
    t.is(docker?.wired, why !== 'PortTaken', why);
    t.is(box.get('etc/docker/daemon.json').includes('29001'), isLed, why);
  }
});
