/** The forwarder with real nginx on both sides: what runtimes get on the loopback, and when they are refused. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { get, type IncomingMessage } from 'node:http';
import { createServer } from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import { issueLeaf } from '../../src/cache/tls/authority.ts';
import type { ForwardedMirror } from '../../src/node/forwarder/config.ts';
import { Forwarder, type ForwarderOptions } from '../../src/node/forwarder/forwarder.ts';
import { createLogger } from '../../src/observe/log.ts';
import { freePort } from '../kubernetes/free-ports.ts';
import { makeAuthority, makeLeaf } from '../support/certificates.ts';
import { eventually } from '../support/eventually.ts';
import { isRunning } from '../support/processes.ts';
import { makeTlsMirror, reachable } from '../support/tls-mirror.ts';

const name = 'mirror.test';
/** From the moment a mirror stops answering to a closed port. */
const closesWithinMs = 5000;

test('what the mirror serves to its nodes alone arrives byte for byte, and is counted', async (t) => {
  const { mirror, wanted, forwarder } = await start(t);
  const content = randomBytes(64 * 2 ** 20);
  writeFileSync(join(mirror.files, 'blob'), content);
  await offered(forwarder, 'm');
  const hosts = ['127.0.0.1', ...(hasIpv6() ? ['[::1]'] : [])];
  for (const host of hosts) {
    const { status, body } = await download(`http://${host}:${wanted.port}/blob`);
    t.is(status, 200);
    t.is(digestOf(body), digestOf(content));
  }
  await eventually(() => {
    const [counted] = forwarder.status();
    assert.equal(counted!.connections, hosts.length);
    assert(counted!.bytesToClients > hosts.length * content.length);
    assert(counted!.bytesFromClients > 0);
  });
});

test('of two addresses the one that answers is used', async (t) => {
  const { mirror, wanted, forwarder } = await start(t, {}, '0', false);
  writeFileSync(join(mirror.files, 'small'), 'small');
  forwarder.update([{ ...wanted, addresses: [`127.0.0.1:${await freePort()}`, ...wanted.addresses] }]);
  await offered(forwarder, 'm');
  for (let round = 0; round < 4; round += 1)
    t.is((await download(`http://127.0.0.1:${wanted.port}/small`)).body.toString(), 'small');
  forwarder.update([wanted]);
  await eventually(() => assert.equal(forwarder.status()[0]!.connections, 4));
  t.is(forwarder.status()[0]!.failed, 0);
});

test('two agents started at once, and one killed, leave the other its port', async (t) => {
  const { dir, wanted, forwarder } = await start(t);
  await offered(forwarder, 'm');
  const agent = startAgent(t, join(dir, 'agent'), wanted);
  await delay(2500);
  agent.kill('SIGKILL');
  await reachable(wanted.port);
  t.true(forwarder.status()[0]!.offered);
});

test('a mirror of another authority, another name or another answer is never offered', async (t) => {
  const { dir, wanted, forwarder } = await start(t);
  const stranger = await makeAuthority(join(dir, 'stranger'));
  const [other, third] = [await freePort(), await freePort()];
  forwarder.update([
    wanted,
    { ...wanted, name: 'authority', port: other, caFile: stranger.file },
    { ...wanted, name: 'name', port: third, serverName: 'another.test' },
  ]);
  await offered(forwarder, 'm');
  await eventually(() =>
    assert.deepEqual(
      forwarder.status().map(({ reason }) => reason),
      ['Answers', 'Untrusted', 'Untrusted'],
    ),
  );
  await delay(2500);
  await t.throwsAsync(reachable(other));
  await t.throwsAsync(reachable(third));
});

test('a mirror that takes no certificate of ours is not offered, although it is well', async (t) => {
  const { dir, wanted, forwarder } = await start(t, {}, '0', false);
  const strangers = await makeAuthority(join(dir, 'strangers'), 'strangers');
  await writeClient(strangers, wanted);
  forwarder.update([wanted]);
  await eventually(() => assert.equal(forwarder.status()[0]?.reason, 'Status'));
  t.like(forwarder.status()[0], { offered: false, detail: 'status 400' });
  await t.throwsAsync(reachable(wanted.port));
});

test('nginx itself refuses a mirror whose certificate is no longer the one wanted', async (t) => {
  // Asked so seldom that the forwarder does not know.
  const { authority, mirror, wanted, forwarder } = await start(t, { tools: { intervalMs: 60_000 } });
  await offered(forwarder, 'm');
  await makeLeaf(authority, ['another.test'], 'server');
  mirror.reload();
  // For a moment workers with either certificate answer: the forwarder may ask one that is still well.
  await eventually(async () => {
    await assert.rejects(download(`http://127.0.0.1:${wanted.port}/health-check`));
    assert.equal(forwarder.status()[0]?.reason, 'Untrusted');
  });
  t.pass();
});

test('a connection that cannot be made has the mirror asked at once, and the port is closed', async (t) => {
  const { mirror, wanted, forwarder } = await start(t, { tools: { intervalMs: 60_000 } });
  await offered(forwarder, 'm');
  mirror.signal('SIGSTOP');
  t.teardown(() => mirror.signal('SIGCONT'));
  const since = performance.now();
  await t.throwsAsync(download(`http://127.0.0.1:${wanted.port}/health-check`));
  await closed(wanted.port);
  t.log(`closed after ${Math.round(performance.now() - since)} ms`);
  t.true(performance.now() - since < 3500);
});

test('renewed authorities, which come as another file, close no port', async (t) => {
  const { dir, wanted, forwarder } = await start(t);
  await offered(forwarder, 'm');
  const ends = Date.now() + 4_000;
  for (let number = 0; Date.now() < ends; number += 1) {
    const caFile = join(dir, `authorities-${number % 2}`);
    writeFileSync(caFile, readFileSync(wanted.caFile));
    if (number % 20 === 0) forwarder.update([{ ...wanted, caFile }]);
    await reachable(wanted.port);
    t.true(forwarder.status()[0]?.offered);
    await delay(10);
  }
});

test('a mirror that is not there at first is offered as soon as it answers, not an interval later', async (t) => {
  const tools = { intervalMs: 5_000, random: () => 0 };
  const { mirror, wanted, forwarder } = await start(t, { tools }, '0', false);
  mirror.signal('SIGSTOP');
  const since = performance.now();
  forwarder.update([wanted]);
  await eventually(() => assert.equal(forwarder.status()[0]?.reason, 'Timeout'));
  mirror.signal('SIGCONT');
  await eventually(() => assert.equal(forwarder.status()[0]?.offered, true));
  t.log(`offered after ${Math.round(performance.now() - since)} ms`);
  t.true(performance.now() - since < 9_000);
});

test('a connection that failed by chance closes nothing', async (t) => {
  const { mirror, wanted, forwarder } = await start(t, { tools: { intervalMs: 60_000 } });
  await offered(forwarder, 'm');
  mirror.signal('SIGSTOP');
  await t.throwsAsync(download(`http://127.0.0.1:${wanted.port}/health-check`));
  mirror.signal('SIGCONT');
  await delay(1500);
  t.like(forwarder.status()[0], { offered: true });
  await reachable(wanted.port);
});

for (const [how, signal] of [
  ['is stopped', 'SIGSTOP'],
  ['is killed', 'SIGKILL'],
] as const) {
  test(`the port is closed within 5 s when the mirror ${how}, and opens again by itself`, async (t) => {
    const { mirror, wanted, forwarder } = await start(t);
    await offered(forwarder, 'm');
    for (let round = 0; round < 2; round += 1) {
      await delay(Math.random() * 2000);
      const since = performance.now();
      mirror.signal(signal);
      await closed(wanted.port);
      t.log(`${how}: closed after ${Math.round(performance.now() - since)} ms`);
      t.true(performance.now() - since < closesWithinMs);
      if (signal === 'SIGSTOP') mirror.signal('SIGCONT');
      else {
        await mirror.stop();
        await mirror.start();
      }
      const back = performance.now();
      await eventually(() => reachable(wanted.port));
      t.log(`open again after ${Math.round(performance.now() - back)} ms`);
    }
  });
}

test('a download goes on while its mirror is withdrawn and others come and go', async (t) => {
  const { mirror, wanted, forwarder } = await start(t, {}, '4m');
  writeFileSync(join(mirror.files, 'blob'), randomBytes(16 * 2 ** 20));
  await offered(forwarder, 'm');
  const running = download(`http://127.0.0.1:${wanted.port}/blob`);
  await delay(300);
  const since = performance.now();
  forwarder.update([{ ...wanted, name: 'n', port: await freePort() }]);
  await closed(wanted.port);
  t.log(`closed ${Math.round(performance.now() - since)} ms after it was no longer wanted`);
  await offered(forwarder, 'n');
  const { body } = await running;
  t.is(digestOf(body), digestOf(readFileSync(join(mirror.files, 'blob'))));
});

test('certificates that are replaced are taken on, and no download is cut', async (t) => {
  const { dir, authority, clients, mirror, wanted, forwarder } = await start(t, {}, '2m');
  writeFileSync(join(mirror.files, 'blob'), randomBytes(24 * 2 ** 20));
  writeFileSync(join(mirror.files, 'small'), 'small');
  await offered(forwarder, 'm');
  const running = download(`http://127.0.0.1:${wanted.port}/blob`);
  // First the new authorities beside the old ones, then the leaves.
  const [next, nextClients] = [
    await makeAuthority(join(dir, 'next'), 'next'),
    await makeAuthority(join(dir, 'next-clients'), 'next clients'),
  ];
  writeFileSync(wanted.caFile, authority.certificatePem + next.certificatePem);
  writeFileSync(clients.file, clients.certificatePem + nextClients.certificatePem);
  mirror.reload();
  await reloaded(forwarder, dir);
  const leaf = await makeLeaf(next, [name], 'server');
  writeFileSync(join(authority.dir, 'server.key'), leaf.keyPem);
  writeFileSync(join(authority.dir, 'server.crt'), leaf.certificatePem);
  await writeClient(nextClients, wanted);
  mirror.reload();
  await reloaded(forwarder, dir);
  // Now the old ones go: only with the new pair the file can be had.
  writeFileSync(wanted.caFile, next.certificatePem);
  writeFileSync(clients.file, nextClients.certificatePem);
  mirror.reload();
  await reloaded(forwarder, dir);
  t.is((await download(`http://127.0.0.1:${wanted.port}/small`)).status, 200);
  t.is(digestOf((await running).body), digestOf(readFileSync(join(mirror.files, 'blob'))));
  t.true(forwarder.status()[0]!.since < Date.now() - 3000, 'it was offered all the time');
});

test('files that hold no certificate take down their mirror alone', async (t) => {
  const { dir, wanted, forwarder } = await start(t);
  const caFile = join(dir, 'own-ca.crt');
  writeFileSync(caFile, readFileSync(wanted.caFile));
  const other = { ...wanted, name: 'other', port: await freePort(), caFile };
  forwarder.update([wanted, other]);
  await offered(forwarder, 'other');
  writeFileSync(caFile, 'garbage');
  await closed(other.port, 8000);
  // The port closes a moment before nginx has told so.
  await eventually(() => assert.equal(forwarder.status()[1]!.reason, 'BadCertificateFiles'));
  await reachable(wanted.port);
  writeFileSync(caFile, readFileSync(wanted.caFile));
  await offered(forwarder, 'other');
  t.pass();
});

test('a port that another program has takes down its mirror alone, until it is free', async (t) => {
  const { wanted, forwarder } = await start(t, {}, '0', false);
  const other = { ...wanted, name: 'other', port: await freePort() };
  const server = createServer().listen(other.port, '127.0.0.1');
  t.teardown(() => server.close());
  await once(server, 'listening');
  forwarder.update([other, wanted]);
  await offered(forwarder, 'm');
  // Only of one that answers is there anything to offer.
  await eventually(() =>
    assert.deepEqual(
      forwarder.findings().map(({ reason, blocks }) => ({ reason, blocks })),
      [{ reason: 'PortTaken', blocks: true }],
    ),
  );
  t.is(forwarder.status()[0]!.reason, 'PortTaken');
  server.close();
  await offered(forwarder, 'other');
  t.deepEqual(forwarder.findings(), []);
});

test('a port that another program has is told of while the mirror does not answer, too', async (t) => {
  const { mirror, wanted, forwarder } = await start(t, {}, '0', false);
  const server = createServer().listen(wanted.port, '127.0.0.1');
  t.teardown(() => server.close());
  await once(server, 'listening');
  await mirror.stop();
  forwarder.update([wanted]);
  await eventually(() => assert.equal(forwarder.status()[0]!.reason, 'PortTaken'));
  t.is(forwarder.status()[0]!.unanswered, 'Refused');
  await mirror.start();
  await eventually(() => assert.equal(forwarder.status()[0]!.unanswered, undefined));
  t.is(forwarder.status()[0]!.reason, 'PortTaken');
  server.close();
  await offered(forwarder, 'm');
});

test('an nginx that is killed is started again', async (t) => {
  const { dir, wanted, forwarder } = await start(t);
  await offered(forwarder, 'm');
  const before = masterOf(dir);
  process.kill(before, 'SIGKILL');
  await eventually(() => assert.notEqual(masterOf(dir), before));
  await offered(forwarder, 'm');
  await reachable(wanted.port);
  t.pass();
});

test('the end leaves no process and closes the port at once; a running download has its time', async (t) => {
  const { dir, mirror, wanted, forwarder, end, ended } = await start(t, { drainMs: 8000 }, '4m');
  writeFileSync(join(mirror.files, 'blob'), randomBytes(8 * 2 ** 20));
  await offered(forwarder, 'm');
  const running = download(`http://127.0.0.1:${wanted.port}/blob`);
  await delay(300);
  end.abort();
  await closed(wanted.port, 1000);
  t.is((await running).body.length, 8 * 2 ** 20);
  await ended;
  t.deepEqual(processesOf(dir), []);
});

test('nginx does not outlive an agent that is killed', async (t) => {
  const { dir, wanted, forwarder, end, ended } = await start(t, {}, '0', false);
  end.abort();
  await ended;
  t.is(forwarder.status().length, 0);
  const folder = join(dir, 'agent');
  const agent = startAgent(t, folder, wanted);
  await eventually(() => reachable(wanted.port));
  const master = masterOf(dir, 'agent');
  t.true(await isRunning(master));
  const since = performance.now();
  agent.kill('SIGKILL');
  await closed(wanted.port, 2000);
  await eventually(() => assert.deepEqual(processesOf(folder), []));
  t.log(`gone ${Math.round(performance.now() - since)} ms after the agent`);
  // The next agent in the same folder finds nothing in its way.
  startAgent(t, folder, wanted);
  await eventually(() => reachable(wanted.port));
});

async function start(
  t: ExecutionContext,
  more: Partial<ForwarderOptions> = {},
  limitRate = '0',
  updates = true,
) {
  const dir = mkdtempSync(join(tmpdir(), 'fw-'));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  const authority = await makeAuthority(join(dir, 'tls'));
  const clients = await makeAuthority(join(dir, 'clients'), 'clients');
  const leaf = await makeLeaf(authority, [name], 'server');
  const mirror = makeTlsMirror(dir, await freePort(), { ...leaf, clientCaFile: clients.file }, limitRate);
  t.teardown(() => mirror.stop());
  await mirror.start();
  const wanted = {
    name: 'm',
    port: await freePort(),
    addresses: [`127.0.0.1:${mirror.port}`],
    serverName: name,
    caFile: authority.file,
    clientCertificate: { certFile: join(dir, 'node.crt'), keyFile: join(dir, 'node.key') },
  };
  await writeClient(clients, wanted);
  const log = createLogger({ level: 'silent' });
  const forwarder = new Forwarder({ folder: join(dir, 'run'), log, drainMs: 200, ...more });
  if (updates) forwarder.update([wanted]);
  const end = new AbortController();
  const ended = forwarder.run(end.signal);
  t.teardown(async () => {
    end.abort();
    await ended;
    await eventually(() => assert.deepEqual(processesOf(dir), []));
  });
  return { dir, authority, clients, mirror, wanted, forwarder, end, ended };
}

async function writeClient(
  clients: Awaited<ReturnType<typeof makeAuthority>>,
  { clientCertificate }: Required<Pick<ForwardedMirror, 'clientCertificate'>>,
): Promise<void> {
  const pair = await issueLeaf(clients, { names: [], days: 1, commonName: 'node', usages: ['clientAuth'] });
  writeFileSync(clientCertificate.certFile, pair.certificatePem);
  writeFileSync(clientCertificate.keyFile, pair.keyPem);
}

/** A process of its own that runs the forwarder. */
function startAgent(t: ExecutionContext, folder: string, mirror: ForwardedMirror): ChildProcess {
  const source = (file: string) => JSON.stringify(new URL(`../../src/${file}`, import.meta.url).href);
  const program = `
    import { Forwarder } from ${source('node/forwarder/forwarder.ts')};
    import { createLogger } from ${source('observe/log.ts')};
    const forwarder = new Forwarder({ folder: ${JSON.stringify(folder)}, log: createLogger({ level: 'silent' }) });
    forwarder.update([${JSON.stringify(mirror)}]);
    await forwarder.run(new AbortController().signal);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], { stdio: 'ignore' });
  t.teardown(() => child.kill('SIGKILL'));
  return child;
}

async function offered(forwarder: Forwarder, mirror: string): Promise<void> {
  await eventually(() => assert(forwarder.status().find((each) => each.name === mirror)?.offered), {
    message: `${mirror} was not offered: ${JSON.stringify(forwarder.status())}`,
  });
}

async function closed(port: number, timeout = 10_000): Promise<void> {
  await eventually(() => assert.rejects(reachable(port), { code: 'ECONNREFUSED' }), {
    timeout,
    interval: 10,
  });
}

/** Waits for the next configuration to be in force. */
async function reloaded(forwarder: Forwarder, dir: string): Promise<void> {
  const before = readFileSync(join(dir, 'run/forwarder.conf'), 'utf8');
  await eventually(() => assert.notEqual(readFileSync(join(dir, 'run/forwarder.conf'), 'utf8'), before), {
    timeout: 15_000,
  });
  await delay(300);
  assert(forwarder.status()[0]!.offered);
}

async function download(url: string): Promise<{ status: number; body: Buffer }> {
  const asked = get(url, { agent: false, headers: { Connection: 'close' } });
  const [response] = (await once(asked, 'response')) as [IncomingMessage];
  const pieces: Buffer[] = [];
  for await (const piece of response) pieces.push(piece as Buffer);
  return { status: response.statusCode ?? 0, body: Buffer.concat(pieces) };
}

function digestOf(content: Buffer): string {
  return createHash('sha256').update(content).digest('hex');
}

function masterOf(dir: string, folder = 'run'): number {
  const file = join(dir, folder, 'nginx.pid');
  return existsSync(file) ? Number(readFileSync(file, 'utf8')) : 0;
}

/** Processes that name a file below `dir` in their command line or have one open; the mirror's are not counted. */
function processesOf(dir: string): number[] {
  return readdirSync('/proc')
    .filter((pid) => /^\d+$/.test(pid) && Number(pid) !== process.pid)
    .filter((pid) => filesOf(pid).some((file) => file.includes(`${dir}/`)))
    .filter((pid) => !filesOf(pid).some((file) => file.includes('/mirror')))
    .map(Number);
}

function filesOf(pid: string): string[] {
  try {
    const open = readdirSync(`/proc/${pid}/fd`).map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`));
    return [readFileSync(`/proc/${pid}/cmdline`, 'utf8'), ...open];
  } catch {
    return [];
  }
}

function hasIpv6(): boolean {
  return Object.values(networkInterfaces()).some((all) => all?.some(({ address }) => address === '::1'));
}
