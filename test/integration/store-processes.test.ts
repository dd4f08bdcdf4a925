/** Several broker processes and one cache volume: together they promise no more than there is, and a purge reaches all of them. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type IncomingMessage, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { runBroker } from '../../src/cache/broker/broker.ts';
import { createLogger } from '../../src/observe/log.ts';
import { ask, type BrokerAnswer, brokerConfig, mirrorOf, sliceBytes } from '../support/broker.ts';
import { eventually } from '../support/eventually.ts';
import { randomBytes } from '../support/images.ts';
import { type ScriptableUpstream, startScriptableUpstream } from '../support/scriptable-upstream.ts';
import { mountSmallVolume } from '../support/small-volume.ts';

const volumeMiB = 64;
/** Of a volume so small an eighth stays free. */
const roomMiB = volumeMiB - volumeMiB / 8;

interface Processes {
  readonly sockets: readonly string[];
  readonly upstream: ScriptableUpstream;
  /** Ends one of them. */
  readonly stop: (index: number) => Promise<void>;
}

/** Two brokers as two processes of one pod are, on a small volume; without an nginx nothing is ever written to it. */
async function start(t: ExecutionContext): Promise<Processes> {
  const upstream = await startScriptableUpstream();
  t.teardown(() => upstream.close());
  const dir = mkdtempSync(join(tmpdir(), 'processes-'));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  mkdirSync(join(dir, 'volume'));
  mountSmallVolume(t, join(dir, 'volume'), volumeMiB);
  const sockets = [join(dir, 'broker.sock'), join(dir, 'broker-1.sock')];
  const mirror = mirrorOf(`http://${upstream.host}`, { cacheDir: join(dir, 'volume', 'm') });
  const config = { ...brokerConfig(dir, [mirror]), sockets, stateDir: join(dir, 'volume', 'broker') };
  const configFile = join(dir, 'broker.json');
  writeFileSync(configFile, JSON.stringify(config));
  const stops = await Promise.all(sockets.map((_, index) => startOne(t, configFile, index)));
  return { sockets, upstream, stop: async (index) => stops[index]?.() };
}

async function startOne(
  t: ExecutionContext,
  configFile: string,
  index: number,
): Promise<() => Promise<void>> {
  const ending = new AbortController();
  const ready = Promise.withResolvers<void>();
  const log = createLogger({ level: 'silent' });
  const done = runBroker(
    { configFile, log, index, followMs: 50, drainMs: 200 },
    ending.signal,
    ready.resolve,
  );
  done.catch(ready.reject);
  await ready.promise;
  const stop = async () => {
    ending.abort();
    await done;
  };
  t.teardown(stop);
  return stop;
}

function isKept({ status, headers }: Pick<BrokerAnswer, 'status' | 'headers'>): boolean {
  assert.equal(status, 206);
  return headers['x-accel-expires'] !== '0';
}

test.serial('a burst over all processes is promised what is free and no more', async (t) => {
  const { sockets, upstream } = await start(t);
  const asked = Array.from({ length: 100 }, (_, index) => {
    const digest = upstream.addBlob(randomBytes(`burst ${index}`, sliceBytes));
    const headers = { range: `bytes=0-${sliceBytes - 1}` };
    return openOne(t, sockets[index % 2]!, `/m/v2/app/blobs/${digest}`, headers);
  });
  const kept = await Promise.all(asked);
  const [first, second] = [0, 1].map((process) => kept.filter((one, at) => one && at % 2 === process).length);
  t.log(`${first} and ${second} of 50 were kept, room for ${roomMiB}`);
  t.true(first! + second! <= roomMiB);
  t.true(first! + second! >= roomMiB * 0.9);
  t.true(second! > 0);
});

/** Begins to take an answer, so that it is on its way until the test ends; returns whether it is kept. */
async function openOne(
  t: ExecutionContext,
  socketPath: string,
  path: string,
  headers: Record<string, string>,
): Promise<boolean> {
  const asked = request({ socketPath, path, headers, agent: false }).end();
  t.teardown(() => asked.destroy());
  const [response] = (await once(asked, 'response')) as [IncomingMessage];
  response.on('error', () => {});
  return isKept({ status: response.statusCode ?? 0, headers: response.headers });
}

test.serial('a purge is told to all of them: what is being asked for is asked for anew', async (t) => {
  const { sockets, upstream } = await start(t);
  const path = '/m/v2/app/manifests/1';
  const get = () => ask(sockets[1]!, path);
  const old = upstream.addManifest('app', '1', { schemaVersion: 2 });
  upstream.faults = { drip: 1 };
  const running = get();
  await eventually(() => assert(upstream.counters.bytes > 0));
  const order = JSON.stringify({ mirror: 'm', repository: 'app' });
  t.is((await ask(sockets[0]!, '/-/purge', {}, 'POST', order)).status, 200);
  upstream.faults = {};
  const moved = upstream.addManifest('app', '1', { schemaVersion: 2, moved: true });
  t.is((await get()).headers['docker-content-digest'], moved);
  const { headers } = await running;
  t.is(headers['docker-content-digest'], old);
  t.is(headers['x-accel-expires'], '0');
});

test.serial('while the first process is away the others answer, and nothing is kept', async (t) => {
  const { sockets, upstream, stop } = await start(t);
  const digest = upstream.addBlob(randomBytes('away', sliceBytes));
  const get = () => ask(sockets[1]!, `/m/v2/app/blobs/${digest}`, { range: `bytes=0-${sliceBytes - 1}` });
  t.true(isKept(await get()));
  await stop(0);
  t.false(isKept(await get()));
});
