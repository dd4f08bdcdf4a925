/** `registry-mirror-operator broker` as people and supervisors run it. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { ask, brokerConfig, mirrorOf } from '../support/broker.ts';
import { eventually } from '../support/eventually.ts';
import { childrenOf, isRunning } from '../support/processes.ts';

function setUp(t: ExecutionContext) {
  const dir = mkdtempSync(join(tmpdir(), 'broker-process-'));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  const [configFile, socket] = [join(dir, 'broker.json'), join(dir, 'broker.sock')];
  writeFileSync(configFile, JSON.stringify(brokerConfig(dir, [mirrorOf('https://127.0.0.1:1')])));
  const start = (...flags: string[]) => {
    const child = spawn('bin/registry-mirror-operator', ['broker', '--config', configFile, ...flags]);
    t.teardown(() => child.kill('SIGKILL'));
    return child;
  };
  const answers = () => eventually(() => ask(socket, '/-/health'));
  return { configFile, socket, start, answers };
}

async function output(child: ChildProcess): Promise<string> {
  let text = '';
  child.stderr?.on('data', (piece: Buffer) => (text += piece));
  await once(child, 'close');
  return text;
}

test('SIGTERM ends it with exit code 0 and takes its socket away', async (t) => {
  const { socket, start, answers } = setUp(t);
  const child = start();
  t.is((await answers()).status, 200);
  child.kill('SIGTERM');
  const [code] = await once(child, 'exit');
  t.is(code, 0);
  t.false(existsSync(socket));
});

test('after SIGKILL the next one takes over the socket', async (t) => {
  const { socket, start, answers } = setUp(t);
  const first = start();
  await answers();
  first.kill('SIGKILL');
  await once(first, 'exit');
  t.true(existsSync(socket));
  start();
  t.is((await answers()).status, 200);
});

test('a second one on the same socket ends with exit code 1 and leaves the first alone', async (t) => {
  const { start, answers } = setUp(t);
  start();
  await answers();
  const second = start();
  t.regex(await output(second), /another broker answers on this socket/);
  t.is(second.exitCode, 1);
  t.is((await answers()).status, 200);
});

test('a bad configuration is exit code 1 and one message with every fault', async (t) => {
  const { configFile, start } = setUp(t);
  writeFileSync(configFile, '{"mirrors": [{"name": "Bad Name"}]}');
  const child = start();
  t.regex(await output(child), /sockets: .*sliceBytes: .*mirrors\.0\.name: /);
  t.is(child.exitCode, 1);
});

test('a fault that only a worker finds is exit code 1 as well', async (t) => {
  const { configFile, socket, start } = setUp(t);
  writeFileSync(
    configFile,
    JSON.stringify({ sockets: [socket], sliceBytes: 1024, mirrors: [{ name: 'Bad Name' }] }),
  );
  const child = start();
  t.regex(await output(child), /mirrors\.0\.name: /);
  t.is(child.exitCode, 1);
});

test('a worker that is killed is replaced within two seconds, and none outlives its supervisor', async (t) => {
  const { start, answers } = setUp(t);
  const child = start();
  await answers();
  const workerOf = async () => (await childrenOf(child.pid ?? 0))[0] ?? assert.fail();
  let worker = await workerOf();
  // The quickest of three: the machine has other things to do as well.
  const times: number[] = [];
  while (times.length < 3) {
    process.kill(worker, 'SIGKILL');
    const killedAt = performance.now();
    t.is((await answers()).status, 200);
    times.push(performance.now() - killedAt);
    const next = await workerOf();
    t.not(next, worker);
    worker = next;
  }
  t.true(Math.min(...times) < 2_000, `${times} ms`);
  child.kill('SIGKILL');
  await eventually(async () => assert.equal(await isRunning(worker), false));
});

test('a worker that is killed before it was ready is replaced as well', async (t) => {
  const { socket, start, answers } = setUp(t);
  const child = start();
  const [worker] = await eventually(
    async () => {
      // Before there is a socket, its only children are the shell's that starts it.
      assert.ok(existsSync(socket));
      const found = await childrenOf(child.pid ?? -1);
      assert.equal(found.length, 1);
      return found;
    },
    { interval: 1 },
  );
  process.kill(worker ?? assert.fail(), 'SIGKILL');
  t.is((await answers()).status, 200);
  t.is(child.exitCode, null);
});

test('an upstream that is not there is 502, and the status says so', async (t) => {
  const { socket, start, answers } = setUp(t);
  start();
  await answers();
  const answer = await ask(socket, '/m/v2/a/b/manifests/v1');
  t.is(answer.status, 502);
  const status = JSON.parse((await ask(socket, '/-/status')).body.toString());
  t.is(status.mirrors[0].upstream.reason, 'Refused');
});
