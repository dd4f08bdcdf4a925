/** Ends a pod's processes as the kernel does when memory runs out: at once, and without a word to anybody. */
import type { Cluster } from '../cluster/cluster.ts';
import type { PodObject } from '../cluster/pods.ts';

/** Kills what runs in all containers of the pod; the kubelet starts them again. */
export async function killPod({ nodes }: Cluster, { spec, status }: PodObject): Promise<void> {
  const node = nodes.find(({ name }) => name === spec.nodeName);
  for (const { containerID } of status.containerStatuses ?? []) {
    const task = containerID?.replace('containerd://', '') ?? '';
    await node?.ctr('tasks', 'kill', '--signal', 'SIGKILL', task);
  }
}
