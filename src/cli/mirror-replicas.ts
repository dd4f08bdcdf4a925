/** The replicas of a mirror as its cache pods, reached through the API server with the caller's own rights. */
import { components, labelSelector, objectNames } from '../api/names.ts';
import { masqueradeOf, parseUpstream } from '../api/upstream.ts';
import { ConfigError } from '../config/problems.ts';
import type { KubeClient } from '../kube/client.ts';
import type { ExecProcess } from '../kube/exec.ts';
import type { KubeObject } from '../kube/object.ts';
import { pods, registryMirrors } from '../operator/resource-types.ts';
import { connectCluster } from './connect-cluster.ts';
import { type MirrorFlags, noSuchMirror } from './mirror-flags.ts';
import type { MirrorNames } from './mirror-image.ts';
import { needing } from './needing.ts';

/** One mirror and its cache pods at this moment. */
export interface MirrorReplicas {
  readonly names: MirrorNames;
  /** Those that can be asked, by ordinal. */
  readonly running: readonly string[];
  /** Those that cannot, and why. */
  readonly others: readonly { readonly pod: string; readonly why: string }[];
  /** Runs our own executable in a pod's broker container; its standard input lasts as long as we do. */
  exec(pod: string, args: readonly string[], signal: AbortSignal): Promise<ExecProcess>;
  close(): Promise<void>;
}

const executable = 'registry-mirror-operator';
const container = 'broker';

/** Looks the mirror and its pods up. Throws `ConfigError` when there is no such mirror or not one pod. */
export async function findReplicas(
  mirror: string,
  flags: MirrorFlags,
  signal: AbortSignal,
): Promise<MirrorReplicas> {
  const { client, namespace } = await connectCluster(flags);
  try {
    const { names, wanted } = await readMirror(client, mirror, signal);
    const { running, others } = await listPods(client, { names, wanted, namespace }, signal);
    return {
      names,
      running,
      others,
      exec: (pod, args, ended) => {
        const command = [executable, ...args];
        return client.exec({ pod: { namespace, name: pod }, container, command, stdin: true, signal: ended });
      },
      close: () => client.close(),
    };
  } catch (error) {
    await client.close();
    throw error;
  }
}

interface Mirror {
  readonly names: MirrorNames;
  /** The replicas it is to have, where the API server fills in a default. */
  readonly wanted: number | undefined;
  /** Where its pods are. */
  readonly namespace: string;
}

async function readMirror(
  client: KubeClient,
  name: string,
  signal: AbortSignal,
): Promise<Omit<Mirror, 'namespace'>> {
  const found = await client
    .getOrUndefined(registryMirrors, { name }, { signal })
    .catch(needing(`get registrymirrors.${registryMirrors.group}`));
  if (found === undefined) throw noSuchMirror(name, await otherMirrors(client, signal));
  const spec = found['spec'] as { upstreamUrl: string; masqueradeUrl?: string; replicas?: number };
  const names = { name, masquerade: masqueradeOf({ spec }), upstream: parseUpstream(spec.upstreamUrl) };
  return { names, wanted: spec.replicas };
}

/** Only to be helpful: who may not list them is told none. */
async function otherMirrors(client: KubeClient, signal: AbortSignal): Promise<string[]> {
  const { items } = await client.listAll(registryMirrors, { signal }).catch(() => ({ items: [] }));
  return items.map(({ metadata }) => metadata.name);
}

async function listPods(client: KubeClient, mirror: Mirror, signal: AbortSignal) {
  const { names, wanted = 0, namespace } = mirror;
  const selection = { namespace, labelSelector: labelSelector(names.name, components.cache) };
  const { items } = await client
    .listAll(pods, { ...selection, signal })
    .catch(needing(`list pods in namespace ${namespace}`));
  if (items.length === 0) throw new ConfigError([whyNoPods(mirror)]);
  const there = items.map((pod) => ({ pod: pod.metadata.name, why: whyNotRunning(pod) }));
  // Whose pod a quota or a policy refuses has its volume all the same.
  const missing = Array.from({ length: wanted }, (_, at) => `${objectNames(names.name).statefulSet}-${at}`)
    .filter((pod) => there.every((each) => each.pod !== pod))
    .map((pod) => ({ pod, why: 'there is no such pod' }));
  const all = [...there, ...missing].sort((one, other) => ordinal(one.pod) - ordinal(other.pod));
  return {
    running: all.filter(({ why }) => why === undefined).map(({ pod }) => pod),
    others: all.flatMap(({ pod, why }) => (why === undefined ? [] : [{ pod, why }])),
  };
}

function whyNoPods({ names: { name }, wanted, namespace }: Mirror): string {
  if (wanted === 0)
    return `RegistryMirror ${name} is scaled to zero: it has no cache pod that could be asked`;
  return `RegistryMirror ${name} has no cache pods in namespace ${namespace}; --namespace names the operator’s`;
}

function ordinal(pod: string): number {
  return Number(/-(\d+)$/.exec(pod)?.[1] ?? 0);
}

interface PodStatus {
  readonly phase?: string;
  readonly containerStatuses?: readonly {
    readonly name: string;
    readonly state?: { readonly running?: object };
  }[];
}

/** A pod whose broker runs can be asked, ready or not. */
function whyNotRunning(pod: KubeObject): string | undefined {
  const { phase = 'Unknown', containerStatuses = [] } = (pod['status'] ?? {}) as PodStatus;
  if (phase !== 'Running') return phase;
  const broker = containerStatuses.find(({ name }) => name === container);
  return broker?.state?.running === undefined ? `its container ${container} is not running` : undefined;
}
