/** The flags of the control plane's programs: pure, so that what is switched on or off is read in one place. */
import { join } from 'node:path';
import { policyVersion } from './policy-version.ts';

/** Everything the flags depend on; files are named by `filesIn`. */
export interface ControlPlaneLayout {
  folder: string;
  etcdPort: number;
  etcdPeerPort: number;
  apiServerPort: number;
  serviceIpRange: string;
  authorizationMode: string;
  controllerManager: boolean;
  controllers: string[];
  apiServerFlags: string[];
}

/** The paths of the files in a control plane's folder. */
export function filesIn(folder: string) {
  const file = (name: string) => join(folder, name);
  return {
    ca: file('ca.crt'),
    certificate: file('apiserver.crt'),
    key: file('apiserver.key'),
    tokenKey: file('service-account.key'),
    tokenPublicKey: file('service-account.pub'),
    tokens: file('tokens.csv'),
    auditPolicy: file('audit-policy.json'),
    auditLog: file('audit.log'),
    kubeconfig: file('admin.kubeconfig'),
    etcdData: file('etcd'),
  };
}

export function etcdFlags(layout: ControlPlaneLayout): string[] {
  const client = `http://127.0.0.1:${layout.etcdPort}`;
  const peer = `http://127.0.0.1:${layout.etcdPeerPort}`;
  return [
    '--name=test',
    `--data-dir=${filesIn(layout.folder).etcdData}`,
    `--listen-client-urls=${client}`,
    `--advertise-client-urls=${client}`,
    `--listen-peer-urls=${peer}`,
    `--initial-advertise-peer-urls=${peer}`,
    `--initial-cluster=test=${peer}`,
    // Data must outlive the process (a kill), not the machine: writes that reached the page cache are enough.
    '--unsafe-no-fsync',
    '--log-level=warn',
  ];
}

export function apiServerFlags(layout: ControlPlaneLayout): string[] {
  const files = filesIn(layout.folder);
  return [
    `--etcd-servers=http://127.0.0.1:${layout.etcdPort}`,
    '--bind-address=127.0.0.1',
    '--advertise-address=127.0.0.1',
    `--secure-port=${layout.apiServerPort}`,
    // A loopback address is not allowed in Endpoints; without this the log has an error every ten seconds.
    '--endpoint-reconciler-type=none',
    // Compaction happens when a test asks for it, never by the clock.
    '--etcd-compaction-interval=0',
    `--tls-cert-file=${files.certificate}`,
    `--tls-private-key-file=${files.key}`,
    `--client-ca-file=${files.ca}`,
    `--token-auth-file=${files.tokens}`,
    `--service-account-key-file=${files.tokenPublicKey}`,
    `--service-account-signing-key-file=${files.tokenKey}`,
    '--service-account-issuer=https://kubernetes.default.svc',
    `--authorization-mode=${layout.authorizationMode}`,
    '--enable-admission-plugins=MutatingAdmissionPolicy,PodSecurity',
    // Off by default before 1.36.
    ...(policyVersion === 'v1beta1'
      ? [
          '--feature-gates=MutatingAdmissionPolicy=true',
          '--runtime-config=admissionregistration.k8s.io/v1beta1=true',
        ]
      : []),
    ...withoutServiceAccounts(layout),
    `--service-cluster-ip-range=${layout.serviceIpRange}`,
    '--allow-privileged=true',
    // Ends open watches on SIGTERM; without it their connections keep the process alive for a minute.
    '--shutdown-watch-termination-grace-period=1s',
    '--profiling=false',
    `--audit-policy-file=${files.auditPolicy}`,
    `--audit-log-path=${files.auditLog}`,
    '--audit-log-mode=blocking-strict',
    ...layout.apiServerFlags,
  ];
}

export function controllerManagerFlags(layout: ControlPlaneLayout): string[] {
  const files = filesIn(layout.folder);
  return [
    `--kubeconfig=${files.kubeconfig}`,
    `--service-account-private-key-file=${files.tokenKey}`,
    `--root-ca-file=${files.ca}`,
    '--leader-elect=false',
    '--secure-port=0',
    '--profiling=false',
    `--controllers=${layout.controllers.join(',')}`,
  ];
}

// Nobody makes the service account "default" of a namespace without the controller manager, so no pod would be admitted.
function withoutServiceAccounts(layout: ControlPlaneLayout): string[] {
  return layout.controllerManager ? [] : ['--disable-admission-plugins=ServiceAccount'];
}
