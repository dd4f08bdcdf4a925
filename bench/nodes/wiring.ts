/** A node's files for each wiring: ours by the planners and the applier, the others by hand. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Action } from '../../src/node/action.ts';
import { planContainerd } from '../../src/node/containerd/target.ts';
import { planContainersRegistries } from '../../src/node/containers-registries.ts';
import { planDockerDaemon } from '../../src/node/docker-daemon.ts';
import type { Finding } from '../../src/node/finding.ts';
import { apply, openHost, viewOf } from '../../test/unit/node/host.ts';
import type { Wiring } from './figures.ts';
import { serviceAddress } from './service.ts';

export interface NodeFiles {
  readonly root: string;
  readonly wiring: Wiring;
  /** The mirror's loopback port. */
  readonly port: number;
  /** PEM: what the Service's certificate is verified by. */
  readonly ca: string;
}

/** Makes a host root with the runtimes' files, wired so. */
export function makeNodeFiles(node: NodeFiles): void {
  const put = (path: string, content: string) => {
    mkdirSync(dirname(join(node.root, path)), { recursive: true });
    writeFileSync(join(node.root, path), content);
  };
  put(
    'etc/containerd/config.toml',
    'version = 2\n[plugins."io.containerd.grpc.v1.cri".registry]\n  config_path = "/etc/containerd/certs.d"\n',
  );
  put('etc/containers/policy.json', '{"default":[{"type":"insecureAcceptAnything"}]}');
  put('etc/containers/registries.conf', 'unqualified-search-registries = ["docker.io"]\n');
  put('etc/docker/daemon.json', '{}\n');
  mkdirSync(join(node.root, 'etc/containerd/certs.d'), { recursive: true });
  if (node.wiring === 'ours') wire(node);
  if (node.wiring === 'service') {
    const url = `https://${serviceAddress}`;
    put('etc/containerd/certs.d/docker.io/ca.crt', node.ca);
    put(
      'etc/containerd/certs.d/docker.io/hosts.toml',
      `server = "https://registry-1.docker.io"\n[host."${url}"]\n  capabilities = ["pull", "resolve"]\n  ca = "ca.crt"\n`,
    );
    put('etc/docker/daemon.json', JSON.stringify({ 'registry-mirrors': [url] }));
    put(`etc/docker/certs.d/${serviceAddress}/ca.crt`, node.ca);
    put(`etc/containers/certs.d/${serviceAddress}/ca.crt`, node.ca);
    put(
      'etc/containers/registries.conf.d/mirror.conf',
      `[[registry]]\nprefix = "docker.io"\nlocation = "docker.io"\n[[registry.mirror]]\nlocation = "${serviceAddress}"\n`,
    );
  }
}

function wire({ root, port }: NodeFiles): void {
  const host = openHost(root, () => ({ sent: [] }));
  const { read, list } = viewOf(host);
  const lists = (path: string) => list(path) ?? [];
  const location = `127.0.0.1:${port}`;
  const mirror = 'hub';
  const plans: { actions: readonly Action[]; findings: readonly Finding[] }[] = [
    planContainerd({
      mirror,
      names: [{ name: 'docker.io', upstream: true }],
      endpoint: `http://${location}`,
      bundle: undefined,
      foreignFiles: 'refuse',
      found: true,
      recorded: [],
      read,
      list: lists,
    }),
    planDockerDaemon({ mirror, url: `http://${location}`, record: undefined, read }),
    planContainersRegistries({
      mirror,
      names: [{ prefix: 'docker.io', upstream: 'docker.io' }],
      endpoint: { kind: 'loopback', location },
      foreignFiles: 'refuse',
      signalsCrio: false,
      recorded: [],
      read,
      list,
    }),
  ];
  const results = apply(
    host,
    plans.flatMap(({ actions }) => actions),
  );
  const findings = plans.flatMap((plan) => plan.findings);
  const failed = results.find(({ error }) => error !== undefined);
  if (failed !== undefined || findings.length > 0)
    throw new Error(`The node was not wired: ${String(failed?.error)} ${JSON.stringify(findings)}`);
}
