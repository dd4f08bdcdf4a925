/**
 * `make demo`: the main job on this machine. A real registry, `standalone` in front of it, an image pulled cold by many clients at once,
 * then warm, then with the registry stopped. Prints what clients got and what the registry saw; fails when a claim does not hold.
 * UPSTREAM=registry-1.docker.io IMAGE=library/alpine:3 uses a real registry (UPSTREAM_CA=file: trust this for it).
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { type Pull, type Pulled, pullPlainly, pullWithSkopeo } from './demo/clients.ts';
import { megabytes, table } from './demo/table.ts';
import { type DemoUpstream, foreignUpstream, ownUpstream, type Seen } from './demo/upstream.ts';

const root = join(import.meta.dirname, '..');
const example = join(root, 'examples/demo.yaml');
const clients = { skopeo: 3, plain: 9 };

interface Phase {
  readonly name: string;
  readonly clients: number;
  readonly bytesEach: number;
  readonly seconds: number;
  readonly firstByteMs: number;
  readonly upstream: Seen;
}

const stop = new AbortController();
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(name, () => stop.abort());
process.exitCode = await main(stop.signal);

async function main(signal: AbortSignal): Promise<number> {
  const dir = mkdtempSync(join(tmpdir(), 'mirror-demo-'));
  const ends: (() => Promise<void>)[] = [];
  try {
    const faults = await demo(dir, ends, signal);
    for (const fault of faults) say(`FAILED: ${fault}`);
    return faults.length === 0 ? 0 : 1;
  } catch (error) {
    // Ctrl-C reaches the children at once, and us when the event loop turns.
    await delay(100);
    if (signal.aborted) say('Stopped.');
    else say(`FAILED: ${error instanceof Error ? error.message : String(error)}\n${logTail(dir)}`);
    return signal.aborted ? 130 : 1;
  } finally {
    for (const end of ends.reverse()) await end();
    rmSync(dir, { recursive: true, force: true });
  }
}

/** Returns the claims that did not hold. */
async function demo(dir: string, ends: (() => Promise<void>)[], signal: AbortSignal): Promise<string[]> {
  const data = join(dir, 'data');
  const mirrorsFile = join(dir, 'mirrors.yaml');
  const upstream = await upstreamFor(dir, data);
  ends.push(upstream.end);
  writeFileSync(mirrorsFile, readFileSync(example, 'utf8').replaceAll('localhost:5001', upstream.host));
  say(`Upstream registry: https://${upstream.host}, image ${upstream.repository}:${upstream.tag}`);
  const url = await startMirror({ dir, data, mirrorsFile, upstream, ends, signal });
  say(`Mirror: ${url}, clients trust ${join(data, 'ca.crt')}`);
  const trustDir = join(dir, 'trust');
  mkdirSync(trustDir);
  copyFileSync(join(data, 'ca.crt'), join(trustDir, 'ca.crt'));
  const { repository, tag } = upstream;
  const pull: Pull = {
    url,
    repository,
    tag,
    ca: readFileSync(join(trustDir, 'ca.crt'), 'utf8'),
    trustDir,
    signal,
  };

  const cold = await phase('cold, all at once', pull, dir, upstream);
  const warm = await phase('warm', pull, dir, upstream);
  const how = await upstream.stop();
  const stopped = await phase('upstream stopped', pull, dir, upstream);
  await upstream.end();
  report([cold, warm, stopped], upstream, how);
  return claims(cold, warm, stopped);
}

function upstreamFor(dir: string, data: string): DemoUpstream | Promise<DemoUpstream> {
  const { UPSTREAM: host, IMAGE: image, UPSTREAM_CA: caFile } = process.env;
  if (!host) return ownUpstream(dir);
  if (!image) throw new Error('IMAGE: expected repository:tag, for example library/alpine:3');
  const brokerSocket = join(data, 'run/broker.sock');
  return foreignUpstream({ host, image, brokerSocket, ...(caFile && { caFile }) });
}

/** Starts the executable as a user would; resolves with the mirror's URL when it says that it is ready. */
async function startMirror(options: {
  dir: string;
  data: string;
  mirrorsFile: string;
  upstream: DemoUpstream;
  ends: (() => Promise<void>)[];
  signal: AbortSignal;
}): Promise<string> {
  const { dir, data, mirrorsFile, upstream, ends, signal } = options;
  const trust = upstream.caFile === undefined ? [] : ['--upstream-ca', upstream.caFile];
  const args = ['standalone', '-f', mirrorsFile, '--data', data, '--port', '0', ...trust];
  say(`$ registry-mirror-operator ${args.join(' ')}`);
  const log = openSync(join(dir, 'standalone.log'), 'a');
  const command = join(root, 'bin/registry-mirror-operator');
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', log] as const });
  ends.push(() => endOf(child));
  for await (const line of createInterface({ input: child.stdout as Readable, signal })) {
    const [word, , url] = line.split(' ');
    if (word === 'ready' && url !== undefined) return url;
  }
  throw new Error('standalone ended before it was ready');
}

async function endOf(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGTERM');
  await once(child, 'exit');
}

/** All clients at once; throws when one of them fails or gets wrong bytes. */
async function phase(name: string, pull: Pull, dir: string, upstream: DemoUpstream): Promise<Phase> {
  const before = await upstream.seen();
  const startedAt = performance.now();
  const pulled: Pulled[] = await Promise.all([
    ...Array.from({ length: clients.skopeo }, (_, index) =>
      pullWithSkopeo(pull, join(dir, `skopeo-${index}`)),
    ),
    ...Array.from({ length: clients.plain }, () => pullPlainly(pull)),
  ]);
  const seconds = (performance.now() - startedAt) / 1000;
  const after = await settled(upstream);
  return {
    name,
    clients: pulled.length,
    bytesEach: Math.max(...pulled.map(({ bytes }) => bytes)),
    seconds,
    firstByteMs: Math.max(...pulled.map(({ firstByteMs }) => firstByteMs ?? 0)),
    upstream: difference(after, before),
  };
}

/** What the upstream has seen once it has written down the last of it. */
async function settled(upstream: DemoUpstream): Promise<Seen> {
  for (let seen = await upstream.seen(); ; ) {
    await delay(200);
    const now = await upstream.seen();
    if (now.requests === seen.requests && now.bytes === seen.bytes) return now;
    seen = now;
  }
}

/** A foreign upstream that was replaced begins to count anew. */
function difference(after: Seen, before: Seen): Seen {
  if (after.requests < before.requests) return after;
  const seconds = after.seconds === undefined ? undefined : after.seconds - (before.seconds ?? 0);
  const rest = { requests: after.requests - before.requests, bytes: after.bytes - before.bytes };
  return seconds === undefined ? rest : { ...rest, seconds };
}

function report(phases: readonly Phase[], { countedBy }: DemoUpstream, how: string): void {
  const head = [
    'phase',
    'clients',
    'each got',
    'all done',
    'first byte',
    'upstream requests',
    'upstream bytes',
    'upstream time',
  ];
  const rows = phases.map(({ name, upstream, ...phase }) => [
    name,
    String(phase.clients),
    megabytes(phase.bytesEach),
    `${phase.seconds.toFixed(2)} s`,
    `${phase.firstByteMs.toFixed(0)} ms`,
    String(upstream.requests),
    `${megabytes(upstream.bytes)} (${(upstream.bytes / phase.bytesEach).toFixed(2)}x)`,
    upstream.seconds === undefined ? '-' : `${upstream.seconds.toFixed(2)} s`,
  ]);
  say(`\n${table(head, rows)}\n`);
  say(
    `Clients: ${clients.skopeo} x skopeo copy, ${clients.plain} x plain HTTPS; every digest was checked. "first byte": of the first`,
  );
  say(`layer, at the slowest client. Upstream as counted by ${countedBy}. Third phase: ${how}.\n`);
  say('Go on:');
  say(
    '  on this machine   bin/registry-mirror-operator standalone -f examples/docker-hub.yaml --data ~/mirror',
  );
  say(
    `                    skopeo copy --src-cert-dir DIR_WITH_ca.crt docker://127.0.0.1:5000/library/alpine:3 dir:/tmp/image`,
  );
  say('  in a cluster      kubectl apply -k deploy/base && kubectl apply -f examples/docker-hub.yaml');
  say('  a real registry   UPSTREAM=registry-1.docker.io IMAGE=library/alpine:3 make demo');
}

function claims(cold: Phase, warm: Phase, stopped: Phase): string[] {
  const faults: string[] = [];
  const check = (holds: boolean, fault: string) => holds || faults.push(fault);
  // Manifests and a config come on top of the layers.
  check(cold.upstream.bytes <= 1.1 * cold.bytesEach, 'cold: the upstream sent more than 1.1 times the image');
  check(cold.upstream.bytes > 0, 'cold: the upstream was not asked, so this was not cold');
  check(warm.upstream.bytes === 0, 'warm: the upstream sent bytes');
  check(stopped.upstream.bytes === 0, 'stopped: the upstream sent bytes');
  check(
    new Set([cold, warm, stopped].map(({ bytesEach }) => bytesEach)).size === 1,
    'phases differ in bytes',
  );
  return faults;
}

function logTail(dir: string): string {
  try {
    return readFileSync(join(dir, 'standalone.log'), 'utf8').split('\n').slice(-20).join('\n');
  } catch {
    return '';
  }
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}
