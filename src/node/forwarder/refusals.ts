/** Why mirrors that answer are not offered on this node all the same; each takes down itself alone. */
import { errorMessage } from '../../observe/error-message.ts';
import type { Finding } from '../finding.ts';
import { answersAsMirror } from './answers-as-mirror.ts';
import {
  type ForwardedMirror,
  type ForwarderConf,
  type ForwarderSurroundings,
  forwarderConf,
} from './config.ts';
import { isFree } from './free-port.ts';

/**
 * `InvalidMirror`: cannot be written as configuration. `PortTaken`: by another program or mirror, whoever dials it does not find this one.
 * `OfferedByOther`: another agent's forwarder has the port. `NginxRefused`: it says why.
 */
export interface Refusal {
  readonly reason: 'InvalidMirror' | 'PortTaken' | 'OfferedByOther' | 'NginxRefused';
  readonly detail: string;
}

/** By mirror. */
export type Refusals = Map<string, Refusal>;

/** Pure. Returns those mirrors that can be written down together, the first one of a name or port; adds the others to `refusals`. */
export function writable(
  mirrors: readonly ForwardedMirror[],
  surroundings: ForwarderSurroundings,
  refusals: Refusals,
): ForwardedMirror[] {
  const taken = new Map<number, string>();
  return mirrors.filter((mirror) => {
    const { name, port } = mirror;
    try {
      confOf([mirror], surroundings);
    } catch (error) {
      refusals.set(name, { reason: 'InvalidMirror', detail: errorMessage(error) });
      return false;
    }
    const other = taken.get(port);
    if (other !== undefined) {
      if (other !== name)
        refusals.set(name, { reason: 'PortTaken', detail: `port ${port} is that of mirror ${other}` });
      return false;
    }
    taken.set(port, name);
    return true;
  });
}

/** Returns those mirrors whose port is held by the forwarder or by nobody; adds the others to `refusals`. */
export async function withPort(
  mirrors: readonly ForwardedMirror[],
  held: readonly number[],
  ipv6: boolean,
  refusals: Refusals,
): Promise<ForwardedMirror[]> {
  const hosts = ['127.0.0.1', ...(ipv6 ? ['::1'] : [])];
  const free = await Promise.all(mirrors.map(({ port }) => held.includes(port) || isFree(port, hosts)));
  for (const [index, { name, port }] of mirrors.entries()) {
    if (free[index]) continue;
    const isOther = await answersAsMirror(port);
    refusals.set(name, {
      reason: isOther ? 'OfferedByOther' : 'PortTaken',
      detail: `another ${isOther ? 'agent' : 'program'} listens on port ${port} of the loopback`,
    });
  }
  return mirrors.filter((_, index) => free[index]);
}

/** Returns those mirrors that nginx takes each by itself; adds the others to `refusals`. */
export async function accepted(
  mirrors: readonly ForwardedMirror[],
  surroundings: ForwarderSurroundings,
  test: (conf: ForwarderConf) => Promise<void>,
  refusals: Refusals,
): Promise<ForwardedMirror[]> {
  const taken: ForwardedMirror[] = [];
  for (const mirror of mirrors) {
    try {
      await test(confOf([mirror], surroundings));
      taken.push(mirror);
    } catch (error) {
      refusals.set(mirror.name, { reason: 'NginxRefused', detail: errorMessage(error) });
    }
  }
  return taken;
}

/** The configuration that offers all of `mirrors`. */
export function confOf(
  mirrors: readonly ForwardedMirror[],
  surroundings: ForwarderSurroundings,
  filesHold = '',
): ForwarderConf {
  return forwarderConf({ ...surroundings, mirrors, listening: mirrors.map(({ name }) => name), filesHold });
}

/** For people. */
export function findingsOf(refusals: Refusals): Finding[] {
  return [...refusals].map(([name, { reason, detail }]) => ({
    reason,
    mirror: name,
    message: `Mirror ${name} is not offered on this node: ${detail}`,
    blocks: true,
  }));
}
