/** The upstream of all contenders: nginx, which can be limited, be down or answer 429, and tells what it was asked. */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { waitFor } from '../wait-for.ts';
import { type Daemon, startDaemon } from './daemon.ts';
import type { Store } from './objects.ts';
import { limitMegabytesPerSecond, type UpstreamState } from './scenarios.ts';
import { logFiles, rateLimitFile, type UpstreamPlace, upstreamConf } from './upstream-conf.ts';
import { type UpstreamUse, upstreamUse } from './upstream-log.ts';

/** URLs it signs are good for longer than any run. */
const signedSeconds = 2 * 3600;

export class Upstream {
  readonly #place: UpstreamPlace;
  readonly #signal: AbortSignal;
  #daemon: Daemon | undefined;
  /** How far into each log has been counted. */
  #counted = { registry: 0, cdn: 0 };

  constructor(place: UpstreamPlace, signal: AbortSignal) {
    this.#place = place;
    this.#signal = signal;
  }

  get host(): string {
    return `${this.#place.address}:${this.#place.ports.registry}`;
  }

  get pid(): number {
    return this.#daemon?.pid ?? 0;
  }

  /** Starts it with all that is in the store by now. */
  async start(store: Store): Promise<void> {
    const { dir } = this.#place;
    mkdirSync(join(dir, 'temp'), { recursive: true });
    const expires = Math.floor(Date.now() / 1000) + signedSeconds;
    const secrets = {
      token: randomBytes(24).toString('hex'),
      signing: randomBytes(24).toString('hex'),
      expires,
    };
    writeFileSync(this.#confFile, upstreamConf(this.#place, store, secrets), { mode: 0o600 });
    await this.#run();
  }

  async stop(): Promise<void> {
    await this.#daemon?.stop();
    this.#daemon = undefined;
  }

  /** Puts it into a state; returns what takes it back to being up. */
  async become(state: UpstreamState): Promise<() => Promise<void>> {
    const file = join(this.#place.dir, rateLimitFile);
    switch (state) {
      case 'up':
        return async () => {};
      case 'down':
        await this.stop();
        return () => this.#run();
      case 'rateLimited':
        writeFileSync(file, '');
        return async () => rmSync(file);
      case 'limited':
        limitPort(this.#place.ports.cdn);
        return async () => void execFileSync('tc', ['qdisc', 'del', 'dev', 'lo', 'root']);
    }
  }

  /** What it was asked since the last call, once it has nothing more to send. */
  async use(): Promise<UpstreamUse> {
    if (this.#daemon) await this.#settled();
    return upstreamUse(this.#next('registry'), this.#next('cdn'));
  }

  get #confFile(): string {
    return join(this.#place.dir, 'nginx.conf');
  }

  async #run(): Promise<void> {
    const { address: host, ports, dir } = this.#place;
    this.#daemon = await startDaemon(
      {
        program: 'nginx',
        args: ['-e', join(dir, 'error.log'), '-c', this.#confFile],
        logFile: join(dir, 'error.log'),
        answers: { host, port: ports.registry },
      },
      this.#signal,
    );
  }

  #next(log: keyof typeof logFiles): string {
    const whole = readFileSync(join(this.#place.dir, logFiles[log]), 'utf8');
    const added = whole.slice(this.#counted[log]);
    this.#counted[log] = whole.length;
    return added;
  }

  /** A cache may go on fetching when its last client has gone. */
  async #settled(): Promise<void> {
    let quiet = 0;
    const busy = async () => {
      quiet = (await this.#writing()) <= 1 ? quiet + 1 : 0;
      return quiet >= 2 ? undefined : 'it still sends';
    };
    await waitFor('The upstream has nothing to send', busy, { seconds: 120, signal: this.#signal });
  }

  /** Requests that are being answered, the one for this included. */
  async #writing(): Promise<number> {
    const { address: host, ports } = this.#place;
    const answer = await new Promise<string>((resolve, reject) => {
      get({ host, port: ports.status, path: '/status', agent: false }, (response) => {
        text(response).then(resolve, reject);
      }).on('error', reject);
    });
    const [, reading, writing] = /Reading: (\d+) Writing: (\d+)/.exec(answer) ?? [];
    return Number(reading) + Number(writing);
  }
}

/** All connections of a port together; in the network namespace of the benchmark, which has nothing but `lo`. */
function limitPort(port: number): void {
  const tc = (line: string) => execFileSync('tc', line.split(' '), { stdio: ['ignore', 'ignore', 'pipe'] });
  tc('qdisc add dev lo root handle 1: htb r2q 1000');
  const rate = `${limitMegabytesPerSecond}mbps`;
  tc(`class add dev lo parent 1: classid 1:1 htb rate ${rate} burst 512kb cburst 512kb`);
  tc(`filter add dev lo parent 1: protocol ip prio 1 u32 match ip sport ${port} 0xffff flowid 1:1`);
}
