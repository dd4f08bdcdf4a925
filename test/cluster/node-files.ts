/** The files of a node that its daemons read, as kubeadm lays them: pure. */
import type { KeyPairPem } from '../kubernetes/certificates.ts';
import { kubeconfig } from '../kubernetes/kube-config.ts';
import { dnsServiceAddress, internetDns, podRange, serviceRange } from './addresses.ts';
import { pauseImage } from './own-images.ts';

/** What a node is; made once, when it joins. */
export interface NodeIdentity {
  readonly name: string;
  readonly address: string;
  readonly podSubnet: string;
  /** Of its pods, as a path below each hierarchy. */
  readonly cgroup: string;
  readonly apiServer: string;
  /** Of the cluster, PEM. */
  readonly authority: string;
  readonly kubelet: KeyPairPem;
  readonly kubeletServer: KeyPairPem;
  readonly kubeProxy: KeyPairPem;
  /** Of nodes that enforce NetworkPolicies. */
  readonly kubeRouter: KeyPairPem | undefined;
  readonly machineId: string;
  /** In effect when it joins: `{ key, value, effect }`. */
  readonly taints: readonly object[];
  readonly labels: Readonly<Record<string, string>>;
}

const pki = '/etc/kubernetes/pki';

/** Path on the node -> content. */
export function nodeFiles(node: NodeIdentity): Record<string, string> {
  const access = (who: KeyPairPem) => kubeconfig(node.apiServer, node.authority, who);
  return {
    '/etc/hostname': `${node.name}\n`,
    '/etc/hosts': `127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n${node.address}\t${node.name}\n`,
    '/etc/resolv.conf': `nameserver ${internetDns}\n`,
    '/etc/machine-id': `${node.machineId}\n`,
    '/etc/containerd/config.toml': containerdConfig,
    '/etc/cni/net.d/10-pods.conflist': jsonOf(podNetwork(node.podSubnet)),
    [`${pki}/ca.crt`]: node.authority,
    '/etc/kubernetes/kubelet.conf': access(node.kubelet),
    '/etc/kubernetes/proxy.conf': access(node.kubeProxy),
    ...(node.kubeRouter && { '/etc/kubernetes/kube-router.conf': access(node.kubeRouter) }),
    '/var/lib/kubelet/pki/kubelet.crt': node.kubeletServer.certificate,
    '/var/lib/kubelet/pki/kubelet.key': node.kubeletServer.key,
    '/var/lib/kubelet/config.yaml': jsonOf(kubeletConfig(node)),
    '/var/lib/kube-proxy/config.conf': jsonOf(kubeProxyConfig(node)),
  };
}

export const kubeletFlags = [
  '--config=/var/lib/kubelet/config.yaml',
  '--kubeconfig=/etc/kubernetes/kubelet.conf',
];
export const kubeProxyFlags = ['--config=/var/lib/kube-proxy/config.conf'];

/** Of what it can do, only that NetworkPolicies are enforced: pods' network and Services are the work of others. */
export function kubeRouterFlags(nodeName: string): string[] {
  return [
    '--run-router=false',
    '--run-service-proxy=false',
    '--run-firewall=true',
    '--kubeconfig=/etc/kubernetes/kube-router.conf',
    `--hostname-override=${nodeName}`,
    `--service-cluster-ip-range=${serviceRange}`,
  ];
}

/** The flags that differ by node. */
export function ownKubeletFlags({ name, address, labels }: NodeIdentity): string[] {
  const list = Object.entries(labels).map(([key, value]) => `${key}=${value}`);
  return [
    `--hostname-override=${name}`,
    `--node-ip=${address}`,
    ...(list.length > 0 ? [`--node-labels=${list.join(',')}`] : []),
  ];
}

function kubeletConfig({ address, cgroup, taints }: NodeIdentity): object {
  return {
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    kind: 'KubeletConfiguration',
    address,
    authentication: {
      anonymous: { enabled: false },
      webhook: { enabled: true },
      x509: { clientCAFile: `${pki}/ca.crt` },
    },
    authorization: { mode: 'Webhook' },
    tlsCertFile: '/var/lib/kubelet/pki/kubelet.crt',
    tlsPrivateKeyFile: '/var/lib/kubelet/pki/kubelet.key',
    containerRuntimeEndpoint: 'unix:///run/containerd/containerd.sock',
    clusterDNS: [dnsServiceAddress],
    clusterDomain: 'cluster.local',
    resolvConf: '/etc/resolv.conf',
    registerWithTaints: taints,
    // The machine's control groups may be of version 1, and the cluster's are below a folder of its own.
    failCgroupV1: false,
    cgroupDriver: 'cgroupfs',
    cgroupRoot: cgroup,
    // To be killed later than others is for those who may ask for it; a container may not.
    oomScoreAdj: 0,
    failSwapOn: false,
    // The disk is the machine's: how full it is is not the cluster's doing.
    evictionHard: {
      'memory.available': '0%',
      'nodefs.available': '0%',
      'nodefs.inodesFree': '0%',
      'imagefs.available': '0%',
    },
    imageGCHighThresholdPercent: 100,
    imageGCLowThresholdPercent: 99,
  };
}

function kubeProxyConfig({ name }: NodeIdentity): object {
  return {
    apiVersion: 'kubeproxy.config.k8s.io/v1alpha1',
    kind: 'KubeProxyConfiguration',
    mode: 'iptables',
    hostnameOverride: name,
    clientConnection: { kubeconfig: '/etc/kubernetes/proxy.conf' },
    clusterCIDR: podRange,
    detectLocalMode: 'ClusterCIDR',
    // The table of connections is the machine's: only its first network namespace may make it larger.
    conntrack: { maxPerCore: 0, min: 0 },
    metricsBindAddress: '127.0.0.1:10249',
    healthzBindAddress: '127.0.0.1:10256',
  };
}

function podNetwork(subnet: string): object {
  const bridge = {
    type: 'bridge',
    bridge: 'cni0',
    isGateway: true,
    hairpinMode: true,
    // What leaves the cluster is masqueraded by a rule of the node.
    ipMasq: false,
    ipam: { type: 'host-local', ranges: [[{ subnet }]], routes: [{ dst: '0.0.0.0/0' }] },
  };
  const plugins = [bridge, { type: 'portmap', capabilities: { portMappings: true } }];
  return { cniVersion: '1.0.0', name: 'pods', plugins };
}

// As `containerd config default` has it, but for what this world needs.
const containerdConfig = `version = 3
root = "/var/lib/containerd"
state = "/run/containerd"

[grpc]
  address = "/run/containerd/containerd.sock"

[plugins."io.containerd.cri.v1.images"]
  snapshotter = "overlayfs"

[plugins."io.containerd.cri.v1.images".pinned_images]
  sandbox = "${pauseImage}"

[plugins."io.containerd.cri.v1.images".registry]
  config_path = "/etc/containerd/certs.d"

[plugins."io.containerd.cri.v1.runtime"]
  restrict_oom_score_adj = true

[plugins."io.containerd.cri.v1.runtime".cni]
  bin_dirs = ["/usr/lib/cni"]
  conf_dir = "/etc/cni/net.d"

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
  BinaryName = "runc"
  SystemdCgroup = false
`;

function jsonOf(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}
