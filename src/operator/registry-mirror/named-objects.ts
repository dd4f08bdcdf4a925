/** Objects of others that a mirror names and that are not watched: asked for only then, so that what is missing can be said. */
import type { RegistryMirror } from '../../api/registry-mirror.ts';
import type { OperatorSettings } from '../../api/settings.ts';
import type { KubeClient } from '../../kube/client.ts';
import { configMaps, priorityClasses } from '../resource-types.ts';
import { hasContent } from './ca-bundle.ts';
import type { Obstacle } from './finding.ts';
import { Remembered } from './remembered.ts';

const inEachCluster = ['system-node-critical', 'system-cluster-critical'];

export class NamedObjects {
  readonly #namespace: string;
  readonly #nodeClass: string;
  readonly #classes: Remembered;
  /** By `name/key`. */
  readonly #bundles: Remembered;

  constructor(client: KubeClient, { namespace, nodePriorityClass }: OperatorSettings) {
    this.#namespace = namespace;
    this.#nodeClass = nodePriorityClass;
    this.#classes = new Remembered(async (name, signal) => {
      return (await client.getOrUndefined(priorityClasses, { name }, { signal })) !== undefined;
    });
    this.#bundles = new Remembered(async (where, signal) => {
      const [name = '', key = ''] = where.split('/');
      const found = await client.getOrUndefined(configMaps, { namespace, name }, { signal });
      return found !== undefined && hasContent(found, key);
    });
  }

  /** Without its class every pod would be refused. */
  async missingClass({ spec }: RegistryMirror, signal: AbortSignal): Promise<Obstacle | undefined> {
    const { priorityClass } = spec;
    if (!priorityClass || (await this.#classes.holds(priorityClass, signal))) return undefined;
    const message = `PriorityClass ${priorityClass} does not exist, so every pod would be refused: StatefulSet and DaemonSet stay as they are; create it or change spec.priorityClass`;
    return { reason: 'PriorityClassNotFound', message };
  }

  /** Holds nothing back: caches serve without agents, and agents that run go on. */
  async missingNodeClass({ spec }: RegistryMirror, signal: AbortSignal): Promise<Obstacle | undefined> {
    const name = this.#nodeClass;
    if (spec.priorityClass !== undefined || inEachCluster.includes(name)) return undefined;
    if (await this.#classes.holds(name, signal)) return undefined;
    const message = `PriorityClass ${name} of NODE_PRIORITY_CLASS does not exist, so every new node agent is refused: create it or change NODE_PRIORITY_CLASS`;
    return { reason: 'PriorityClassNotFound', message };
  }

  /** Holds nothing back: pods mount the ConfigMap where it exists, and follow it. */
  async missingAuthorities({ spec }: RegistryMirror, signal: AbortSignal): Promise<Obstacle | undefined> {
    const { upstreamCA } = spec;
    if (upstreamCA === undefined) return undefined;
    const { name, key } = upstreamCA;
    if (await this.#bundles.holds(`${name}/${key}`, signal)) return undefined;
    const message = `ConfigMap ${this.#namespace}/${name} of spec.upstreamCA does not exist or has no key ${key}: an upstream of a private authority is not trusted; create it or change spec.upstreamCA`;
    return { reason: 'UpstreamCANotFound', message };
  }
}
