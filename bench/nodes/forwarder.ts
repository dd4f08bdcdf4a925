/**
 * One stream through the forwarder beside curl's own TLS, from the same mirror: MiB/s, and processor seconds a GiB of what runs on the node
 * (curl, and the forwarder's nginx). `node bench/nodes/forwarder.ts [ROUNDS]`
 */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { Forwarder } from '../../src/node/forwarder/forwarder.ts';
import { createLogger } from '../../src/observe/log.ts';
import { freePort } from '../../test/kubernetes/free-ports.ts';
import { makeAuthority, makeLeaf } from '../../test/support/certificates.ts';
import { eventually } from '../../test/support/eventually.ts';
import { makeTlsMirror, reachable } from '../../test/support/tls-mirror.ts';
import { cpuSecondsOfTree, memoryOf } from '../process-usage.ts';

const rounds = Number(process.argv[2] ?? 7);
const mebibytes = 1024;
const name = 'mirror.test';

interface Figures {
  /** MiB/s. */
  readonly speed: number;
  readonly cpuSeconds: number;
}

// In memory, so that no disk is measured.
const dir = mkdtempSync('/dev/shm/fw-');
const end = new AbortController();
let ended = Promise.resolve();
let stopMirror = async () => {};
try {
  const authority = await makeAuthority(join(dir, 'tls'));
  const leaf = await makeLeaf(authority, [name], 'server');
  const client = await makeLeaf(authority, ['node'], 'client', { usages: ['clientAuth'] });
  const mirror = makeTlsMirror(dir, await freePort(), { ...leaf, clientCaFile: authority.file });
  stopMirror = () => mirror.stop();
  fill(join(mirror.files, 'blob'));
  await mirror.start();
  const port = await freePort();
  const forwarder = new Forwarder({ folder: join(dir, 'run'), log: createLogger({ level: 'error' }) });
  const addresses = [`127.0.0.1:${mirror.port}`];
  forwarder.update([
    { name: 'm', port, addresses, serverName: name, caFile: authority.file, clientCertificate: client },
  ]);
  ended = forwarder.run(end.signal);
  await eventually(() => reachable(port));
  const tls = ['--cacert', authority.file, '--cert', client.certFile, '--key', client.keyFile];
  const direct = [
    ...tls,
    '--resolve',
    `${name}:${mirror.port}:127.0.0.1`,
    `https://${name}:${mirror.port}/blob`,
  ];
  const forwarded = [`http://127.0.0.1:${port}/blob`];
  const master = Number(readFileSync(join(dir, 'run/nginx.pid'), 'utf8'));
  const results: { direct: Figures; forwarded: Figures }[] = [];
  // In turn: another load on the machine meets both.
  for (let round = 0; round < rounds; round += 1) {
    results.push({ direct: await fetch(direct), forwarded: await fetch(forwarded, master) });
  }
  report(results);
  const worker = execFileSync('pgrep', ['-P', String(master)], { encoding: 'utf8' })
    .trim()
    .split('\n')
    .map(Number);
  for (const pid of [master, ...worker])
    process.stdout.write(`nginx ${pid}: ${JSON.stringify(await memoryOf(pid))} MiB\n`);
} finally {
  end.abort();
  await ended;
  await stopMirror();
  rmSync(dir, { recursive: true, force: true });
}

async function fetch(args: readonly string[], forwarder?: number): Promise<Figures> {
  const before = forwarder === undefined ? 0 : await cpuSecondsOfTree(forwarder);
  const format = '%{http_code} %{size_download} %{time_total}\\n';
  const script = 'curl -sS --http1.1 -o /dev/null "$@"; times';
  const child = spawn('bash', ['-c', script, 'curl', '-w', format, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [output] = await Promise.all([text(child.stdout), once(child, 'exit')]);
  const [transfer = '', , times = ''] = output.split('\n');
  const [status, size, seconds] = transfer.split(' ').map(Number);
  if (status !== 200 || size !== mebibytes * 2 ** 20 || seconds === undefined)
    throw new Error(`curl said: ${output}`);
  const own = [...times.matchAll(/(\d+)m([\d.]+)s/g)].reduce(
    (sum, [, m, s]) => sum + Number(m) * 60 + Number(s),
    0,
  );
  const after = forwarder === undefined ? 0 : await cpuSecondsOfTree(forwarder);
  return { speed: mebibytes / seconds, cpuSeconds: own + after - before };
}

function report(results: readonly { direct: Figures; forwarded: Figures }[]): void {
  const of = (pick: (result: (typeof results)[number]) => number) => median(results.map(pick));
  const row = (what: string, ...values: number[]) =>
    process.stdout.write(
      `${what.padEnd(28)}${values.map((value) => value.toFixed(2).padStart(10)).join('')}\n`,
    );
  process.stdout.write(`median of ${results.length}, 1 GiB${' '.repeat(10)}direct forwarded     ratio\n`);
  row(
    'MiB/s',
    of(({ direct }) => direct.speed),
    of(({ forwarded }) => forwarded.speed),
    of(({ direct, forwarded }) => forwarded.speed / direct.speed),
  );
  row(
    'processor seconds a GiB',
    of(({ direct }) => direct.cpuSeconds),
    of(({ forwarded }) => forwarded.cpuSeconds),
    of(({ direct, forwarded }) => forwarded.cpuSeconds / direct.cpuSeconds),
  );
}

function median(values: readonly number[]): number {
  return values.toSorted((one, other) => one - other)[Math.floor(values.length / 2)] ?? Number.NaN;
}

function fill(path: string): void {
  const file = openSync(path, 'wx');
  const piece = Buffer.alloc(2 ** 20, 'registry mirror ');
  for (let written = 0; written < mebibytes; written += 1) writeSync(file, piece);
}
