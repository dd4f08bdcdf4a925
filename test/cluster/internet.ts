/**
 * What is outside of the cluster: a place on the bridge that nodes and pods reach, and from which nothing leads further. Servers are started in
 * it at addresses of `internetRange`; it has a DNS for their names. What it sends can be counted, cut and slowed.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { eventually } from '../support/eventually.ts';
import { gatewayAddress, internetDns, internetRange } from './addresses.ts';
import type { Place } from './place.ts';
import { plugIn } from './wire.ts';

/** How a cut looks from the cluster: nothing comes back at all, or every connection is refused or reset. */
export type Cut = 'silent' | 'refused';

/** The first process's script. Every address of the range is its own: a server may take any. What is meant for others is said to be nowhere. */
const script = `hostname internet
ip link set lo up
ip route add local ${internetRange} dev lo
ip route add unreachable default
echo 1 > /proc/sys/net/ipv4/ip_forward`;

/** What its DNS always knows: itself. */
const ownName = 'dns.internet.test';

/** Bytes of one burst: no less than what is sent in a hundredth of a second, or than the largest packet of a link without hardware. */
const smallestBurst = 128 * 1024;

export class Internet {
  readonly place: Place;
  readonly #dnsProgram: string;

  constructor(place: Place, options: { dnsProgram: string }) {
    this.place = place;
    this.#dnsProgram = options.dnsProgram;
  }

  async start(bridge: Place): Promise<void> {
    await this.place.start({ script });
    await plugIn(bridge, this.place, gatewayAddress);
    mkdirSync(join(this.place.folder, 'dns'), { recursive: true });
    this.setNames({});
    writeFileSync(join(this.place.folder, 'dns/Corefile'), corefile(this.#hostsFile));
    const command = [this.#dnsProgram, '-conf', join(this.place.folder, 'dns/Corefile')];
    await this.place.startDaemon('dns', { command });
    await eventually(() => this.place.run(['busybox', 'nslookup', ownName, internetDns])).catch((cause) => {
      throw new Error(`The DNS of the internet did not start: ${this.place.log('dns', 2000)}`, { cause });
    });
  }

  /** What its DNS answers, from half a second later on: name -> address. Nothing else exists. */
  setNames(names: Readonly<Record<string, string>>): void {
    const lines = Object.entries({ ...names, [ownName]: internetDns }).map(
      ([name, address]) => `${address} ${name}\n`,
    );
    writeFileSync(this.#hostsFile, lines.join(''));
  }

  /** Cuts everything off until `restore`; a refused one leaves DNS alone. */
  async cut(how: Cut): Promise<void> {
    await this.restore();
    const rule =
      how === 'silent'
        ? ['OUTPUT', '-o', 'eth0', '-j', 'DROP']
        : ['INPUT', '-i', 'eth0', '-p', 'tcp', '-j', 'REJECT', '--reject-with', 'tcp-reset'];
    await this.place.run(['iptables', '--wait', '-A', ...rule]);
  }

  /** Ends a cut. */
  async restore(): Promise<void> {
    await this.place.run(['iptables', '--wait', '-F']);
  }

  /** Sends no more than so many bytes in a second, headers included; as fast as it can when undefined. */
  async slow(bytesPerSecond: number | undefined): Promise<void> {
    const tc = (...args: string[]) => this.place.run(['tc', 'qdisc', ...args]);
    if (bytesPerSecond === undefined) return void (await tc('replace', 'dev', 'eth0', 'root', 'pfifo'));
    const burst = Math.max(smallestBurst, Math.ceil(bytesPerSecond / 100));
    const shape = ['rate', `${bytesPerSecond * 8}bit`, 'burst', `${burst}b`, 'latency', '100ms'];
    await tc('replace', 'dev', 'eth0', 'root', 'tbf', ...shape);
  }

  /** Bytes that it has sent to the cluster since it started, headers included (less than 1 % of a large transfer). */
  async sentBytes(): Promise<number> {
    return Number(await this.place.run(['cat', '/proc/net/dev']).then(sentOf));
  }

  get #hostsFile(): string {
    return join(this.place.folder, 'dns/hosts');
  }
}

/** The ninth number of an interface's line in /proc/net/dev. */
function sentOf(text: string): number {
  const line = text.split('\n').find((each) => each.trim().startsWith('eth0:'));
  return Number(line?.split(':')[1]?.trim().split(/\s+/)[8]);
}

function corefile(hostsFile: string): string {
  return `. {
  bind ${internetDns}
  errors
  hosts ${hostsFile} {
    ttl 1
    reload 500ms
  }
}
`;
}
