/** A node with every runtime, mirrors that wire them all, and the files of theirs that a runtime reads. */
import type { NodeFacts } from '../../../src/node/facts.ts';
import type { WiredMirror } from '../../../src/node/options.ts';
import { type Sandbox, type TestOptions, wiredMirror } from './sandbox.ts';

/** All of them run. */
export const everyRuntime: NodeFacts = {
  docker: { running: true, version: '20.10.24', containerdStore: false },
  containerd: { running: true, version: '1.6.20' },
  crio: { running: true, version: '1.30.0' },
};

/** What people have configured. */
export const configuration: Readonly<Record<string, string>> = {
  'etc/hosts': '127.0.0.1 localhost\n',
  'etc/containerd/config.toml':
    'version = 2\n[plugins."io.containerd.grpc.v1.cri".registry]\n  config_path = "/etc/containerd/certs.d"\n',
  'etc/containers/registries.conf': 'unqualified-search-registries = ["docker.io"]\n',
  'etc/docker/daemon.json': '{\n  "log-driver": "json-file"\n}\n',
};

/** Docker Hub and another registry under their own names, and each under an alias. */
export function bothMirrors(caFile: string): readonly WiredMirror[] {
  return [
    wiredMirror('hub', caFile, {
      names: [
        { name: 'docker.io', upstream: true },
        { name: 'mirror-docker.io', upstream: false },
      ],
      addresses: ['10.96.0.10'],
      port: 29_001,
      hostsNames: ['mirror-docker.io'],
      certificateNames: ['mirror-docker.io'],
    }),
    wiredMirror('quay', caFile, {
      names: [
        { name: 'quay.example', upstream: true },
        { name: 'mirror-quay.example:5000', upstream: false },
      ],
      addresses: ['10.96.0.11', 'fd00::11'],
      port: 29_002,
      hostsNames: ['mirror-quay.example:5000'],
      certificateNames: ['mirror-quay.example:5000'],
    }),
  ];
}

/** Files of ours on such a node, as a runtime finds them. */
export const wiredFiles = [
  'etc/hosts',
  'etc/docker/daemon.json',
  'etc/docker/certs.d/mirror-docker.io/ca.crt',
  'etc/docker/certs.d/quay.example/ca.crt',
  'etc/docker/certs.d/mirror-quay.example:5000/ca.crt',
  'etc/containerd/certs.d/docker.io/hosts.toml',
  'etc/containerd/certs.d/mirror-docker.io/hosts.toml',
  'etc/containerd/certs.d/quay.example/hosts.toml',
  'etc/containers/registries.conf.d/50-registry-mirror-docker.io.conf',
  'etc/containers/registries.conf.d/50-registry-mirror-quay.example.conf',
] as const;

/** An agent that knows every mirror of the node. */
export function sharedAgent(
  box: Sandbox,
  mirrors: readonly WiredMirror[] = bothMirrors(box.caFile),
  changes: Partial<TestOptions> = {},
): TestOptions {
  return { ...box.options({ facts: everyRuntime }), mirrors: () => ({ mirrors, whole: true }), ...changes };
}
