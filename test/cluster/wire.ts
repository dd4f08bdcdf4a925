/** The bridge that joins the places of the cluster, in the control plane's network, and each one's link to it. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { gatewayAddress, nodeAddress, podRange, podSubnet } from './addresses.ts';
import type { Place } from './place.ts';

const run = promisify(execFile);

/** As many nodes as there are addresses for. */
const mostNodes = 9;

/** What the first process of the bridge's place runs. */
export function bridgeScript(address: string): string {
  return [
    'ip link set lo up',
    // What passes the bridge is not the business of this place's rules.
    'if [ -e /proc/sys/net/bridge/bridge-nf-call-iptables ]; then echo 0 > /proc/sys/net/bridge/bridge-nf-call-iptables; fi',
    'ip link add wire type bridge',
    'ip link set wire up',
    `ip address add ${address}/24 dev wire`,
  ].join('\n');
}

/** Gives a place its `eth0` with an address on the bridge. */
export async function plugIn(bridge: Place, place: Place, address: string): Promise<void> {
  const [bridgeInit, init] = await Promise.all([bridge.init(), place.init()]);
  // By the machine's process ids: in the network of the bridge, but not among its processes.
  const ip = (...args: string[]) =>
    run('nsenter', ['--target', String(bridgeInit), '--net', '--', 'ip', ...args]);
  await ip('link', 'add', place.name, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', String(init));
  await ip('link', 'set', place.name, 'master', 'wire', 'up');
  await place.run([
    'sh',
    '-ec',
    `ip link set lo up; ip link set eth0 up; ip address add ${address}/24 dev eth0`,
  ]);
}

/** The routes to the pods of every node, those that are not there yet too, but for the one of this number. */
export function podRoutes(own?: number): string {
  const others = Array.from({ length: mostNodes }, (_, at) => at + 1).filter((number) => number !== own);
  return others.map((number) => `ip route add ${podSubnet(number)} via ${nodeAddress(number)}`).join('\n');
}

/** What makes a place with an `eth0` a node: pods' packets pass, and leave the cluster by the node's address. */
export function nodeNetworkScript(number: number): string {
  return [
    'echo 1 > /proc/sys/net/ipv4/ip_forward',
    `ip route add default via ${gatewayAddress}`,
    podRoutes(number),
    `iptables --wait -t nat -A POSTROUTING -s ${podRange} ! -d ${podRange} -j MASQUERADE`,
  ].join('\n');
}
