/**
 * The port of a mirror on all its nodes: its forwarder on loopback, and on the node's address the agent that is its alone. Allocated once and
 * kept in `status.nodePort`, because files on nodes name it.
 */
import type { OperatorSettings } from '../../api/settings.ts';
import type { KubeObject } from '../../kube/object.ts';
import { mirrorsOf } from '../mirror-keys.ts';
import type { Views } from '../views.ts';
import type { Obstacle } from './finding.ts';
import type { LiveDaemonSet } from './live-objects.ts';
import { isOlder } from './obstacles.ts';
import type { StoredMirror } from './status.ts';

type Range = OperatorSettings['nodePorts'];

/** A mirror and the port that is known of it. */
export interface PortClaim {
  readonly metadata: { readonly name: string; readonly creationTimestamp?: string };
  readonly port: number;
}

/** What the choice depends on. */
export interface PortQuestion {
  readonly mirror: PortClaim['metadata'];
  /** Ports that it was given before, the one in its status first. */
  readonly known: readonly number[];
  /** Of the other mirrors. */
  readonly claims: readonly PortClaim[];
  readonly range: Range;
}

/** The port that a mirror keeps, also outside of the range, else the lowest free one; undefined: the range is exhausted. Pure. */
export function choosePort({ mirror, known, claims, range }: PortQuestion): number | undefined {
  const kept = known.find((port) => port !== range.first && !claims.some((claim) => precedes(claim, port)));
  return kept ?? lowestFree(new Set(claims.map(({ port }) => port)), range);

  function precedes(claim: PortClaim, port: number): boolean {
    return claim.port === port && isOlder(claim.metadata, mirror);
  }
}

/** What is said where there is none. */
export function portsExhausted({ first, last }: Range): Obstacle {
  const message = `No port is left for the mirror on its nodes, of ${first + 1} to ${last} (NODE_PORTS): no node is wired; widen the range or delete a mirror`;
  return { reason: 'NodePortsExhausted', message };
}

/** The port with which a DaemonSet's agents were made. */
export function portOf(set: KubeObject | undefined): number | undefined {
  return agentPort((set as LiveDaemonSet | undefined)?.spec?.template?.spec);
}

/** The port in a node agent's pod: its own word, while the mirror's changes. */
export function agentPort(podSpec: Readonly<Record<string, unknown>> | undefined): number | undefined {
  const containers = (podSpec?.['containers'] ?? []) as readonly Container[];
  const value = containers.flatMap(({ env }) => env ?? []).find(({ name }) => name === 'NODE_PORT')?.value;
  return value !== undefined && /^[0-9]{1,5}$/.test(value) ? Number(value) : undefined;
}

interface Container {
  readonly env?: readonly { readonly name: string; readonly value?: string }[];
}

/** Allocates for one operator, whose workers ask at the same time. */
export class NodePorts {
  readonly #views: Pick<Views, 'mirrors' | 'daemonSets'>;
  readonly #range: Range;
  /** By mirror: what was given out, before the views show it. */
  readonly #reserved = new Map<string, number>();

  constructor(views: Pick<Views, 'mirrors' | 'daemonSets'>, range: Range) {
    this.#views = views;
    this.#range = range;
  }

  /** The port of this mirror from now on; undefined: there is none. Makes no request. */
  allocate({ metadata, status }: StoredMirror, daemonSet: LiveDaemonSet | undefined): number | undefined {
    const { name } = metadata;
    const known = [status?.nodePort, portOf(daemonSet), this.#reserved.get(name)];
    const port = choosePort({
      mirror: metadata,
      known: known.filter((one) => one !== undefined),
      claims: this.#claimsOfOthers(name),
      range: this.#range,
    });
    if (port === undefined) this.#reserved.delete(name);
    else this.#reserved.set(name, port);
    return port;
  }

  #claimsOfOthers(mirror: string): PortClaim[] {
    const all = this.#views.mirrors.list() as StoredMirror[];
    const names = new Set(all.map(({ metadata }) => metadata.name));
    for (const name of this.#reserved.keys()) if (!names.has(name)) this.#reserved.delete(name);
    const made = this.#madePorts();
    return all
      .filter(({ metadata }) => metadata.name !== mirror)
      .flatMap(({ metadata, status }) => {
        const { name } = metadata;
        const ports = [this.#reserved.get(name) ?? status?.nodePort ?? made.get(name)];
        return ports.flatMap((port) => (port === undefined ? [] : [{ metadata, port }]));
      });
  }

  /** By mirror: an operator may have ended between the DaemonSet and the status. */
  #madePorts(): ReadonlyMap<string, number> {
    return new Map(
      this.#views.daemonSets.list().flatMap((set) => {
        const port = portOf(set);
        return port === undefined ? [] : mirrorsOf(set).map((name) => [name, port] as const);
      }),
    );
  }
}

/** The first of the range is the shared agent's own. */
function lowestFree(taken: ReadonlySet<number>, { first, last }: Range): number | undefined {
  for (let port = first + 1; port <= last; port += 1) if (!taken.has(port)) return port;
  return undefined;
}
