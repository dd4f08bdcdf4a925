/** Finds everything the cluster runs, building what is not there. */
import { dirname, join } from 'node:path';
import { containerdFolder } from '../containerd/program.ts';
import { builtFolder } from '../go/built-folder.ts';
import { kubeRouterFolder } from '../kube-router/program.ts';
import { findAssets } from '../kubernetes/assets.ts';

/** Folders of programs. */
export interface Programs {
  /** etcd, kube-apiserver, kube-controller-manager. */
  readonly controlPlane: string;
  /** kubelet, kube-proxy, kube-scheduler. */
  readonly kubernetes: string;
  /** containerd, its shim and ctr. */
  readonly containerd: string;
  /** coredns and pause. */
  readonly own: string;
  /** kube-router; only where nodes enforce NetworkPolicies. */
  readonly kubeRouter?: string;
}

/** The first time this takes ten to twenty minutes on two cores; one build after the other. */
export async function findPrograms({ networkPolicies = false } = {}): Promise<Programs> {
  const here = import.meta.dirname;
  const controlPlane = await findAssets(['etcd', 'kube-apiserver', 'kube-controller-manager']);
  const kubernetes = await builtFolder(join(dirname(here), 'kubernetes/build-node'), 'kubelet');
  const containerd = await containerdFolder();
  const own = await builtFolder(join(here, 'programs/build'), 'CoreDNS');
  const programs = { controlPlane, kubernetes, containerd, own };
  return networkPolicies ? { ...programs, kubeRouter: await kubeRouterFolder() } : programs;
}

export const systemPath = '/usr/sbin:/usr/bin:/sbin:/bin';
