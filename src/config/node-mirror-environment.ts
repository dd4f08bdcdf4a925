/** The one mirror that a node agent's environment names: the variables of mirror-hostess and our own. */
import { isIP } from 'node:net';
import type { NodeName, Runtime } from '../api/node-mirror.ts';
import { splitHostPort } from '../api/upstream.ts';
import type { CertificateFiles, WiredMirror } from '../node/options.ts';
import type { Variables } from './variables.ts';

/** A DNS name. */
export const hostName =
  /^(?=.{1,253}$)[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?(\.[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)*$/i;
const mirrorName = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;
const runtimes: readonly (Runtime | 'auto')[] = ['auto', 'docker', 'containerd', 'crio', 'hosts'];

/** Reads the mirror. `wires` is false where it is only taken back, for which less has to be known. */
export function readMirror(variables: Variables, wires: boolean): WiredMirror {
  const hostsNames = wires ? readHostsNames(variables) : [];
  const port = variables.port('NODE_PORT');
  const fallbackPort = variables.port('FALLBACK_PORT');
  return {
    name: readName(variables),
    names: readNames(variables),
    addresses: readAddresses(variables, hostsNames.length > 0),
    ...(fallbackPort !== undefined && { fallbackPort }),
    ...(port !== undefined && { port }),
    endpoint: variables.choice('ENDPOINT', ['loopback', 'service']),
    serverName: readServerName(variables),
    runtimes: readRuntimes(variables),
    hostsNames,
    certificateNames: readCertificateNames(variables),
    clientCertificate: variables.choice('CLIENT_CERTIFICATE', ['false', 'true']) === 'true',
    containerd: variables.choice('CONTAINERD', ['report', 'configure', 'configureAndRestart']),
    foreignFiles: variables.choice('FOREIGN_FILES', ['refuse', 'takeover']),
    foreignHostsLines: variables.choice('FOREIGN_HOSTS_LINES', ['override', 'respect']),
    caFile: variables.path('CA_FILE', '/etc/registry-mirror/trust/ca.crt'),
    client: readClient(variables),
  };
}

/** What the agent shows to mirrors, and to those who ask for its status. */
export function readClient(variables: Variables): CertificateFiles {
  return {
    certFile: variables.path('CERT_FILE', '/etc/registry-mirror/trust/tls.crt'),
    keyFile: variables.path('KEY_FILE', '/etc/registry-mirror/trust/tls.key'),
  };
}

/** Falls back on what the original is told: the Service's name. */
function readName(variables: Variables): string {
  const service = variables.get('SERVICE_NAME')?.replace(/^registry-mirror-/, '');
  const value = variables.get('MIRROR_NAME') ?? service;
  if (value === undefined || !mirrorName.test(value)) {
    variables.problems.add('MIRROR_NAME', 'the name of a RegistryMirror', value ?? '');
  }
  return value ?? '';
}

/** A port is no part of a hosts line; a name that is an address needs none. */
function readHostsNames(variables: Variables): string[] {
  if (variables.choice('WIRE_HOSTS', ['true', 'false']) === 'false') return [];
  const listed = variables.list('SHADOW_FQDN');
  if (listed.length === 0) variables.problems.add('SHADOW_FQDN', 'the masquerade name', '');
  const isAddress = (name: string) => isIP(splitHostPort(name).host.replace(/^\[(.*)\]$/, '$1')) !== 0;
  const names = listed.filter((name) => !isAddress(name));
  for (const name of names.filter((each) => !hostName.test(splitHostPort(each).host))) {
    variables.problems.add('SHADOW_FQDN', 'host names', name);
  }
  return names;
}

function readAddresses(variables: Variables, needed: boolean): string[] {
  const addresses = variables.list('MIRROR_ADDRESSES');
  if (needed && addresses.length === 0)
    variables.problems.add('MIRROR_ADDRESSES', 'at least one address', '');
  for (const address of addresses.filter((each) => isIP(each) === 0)) {
    variables.problems.add('MIRROR_ADDRESSES', 'IPv4 or IPv6 addresses', address);
  }
  return addresses;
}

/** A name that is the upstream's and an alias is the upstream's. */
function readNames(variables: Variables): NodeName[] {
  const scheme = variables.choice('UPSTREAM_SCHEME', ['https', 'http']);
  const asked = { upstream: true, ...(scheme === 'http' && { scheme }) } as const;
  const upstreams = variables.list('UPSTREAM_NAMES').map((name) => ({ name, ...asked }));
  const isUpstream = (name: string) => upstreams.some((each) => each.name === name);
  const aliases = variables.list('ALIAS_NAMES').filter((name) => !isUpstream(name));
  const names = [...upstreams, ...aliases.map((name) => ({ name, upstream: false }))];
  for (const { name } of names.filter((each) => !isRegistryName(each.name))) {
    variables.problems.add('UPSTREAM_NAMES or ALIAS_NAMES', registryNames, name);
  }
  return names;
}

function readServerName(variables: Variables): string {
  const value = variables.get('SERVER_NAME');
  if (value === undefined) return splitHostPort(variables.list('SHADOW_FQDN')[0] ?? '').host;
  if (!hostName.test(value)) variables.problems.add('SERVER_NAME', 'a DNS name', value);
  return value;
}

function readRuntimes(variables: Variables): (Runtime | 'auto')[] {
  const listed = variables.list('RUNTIMES');
  const chosen = runtimes.filter((each) => listed.includes(each));
  if (chosen.length < listed.length) variables.problems.add('RUNTIMES', runtimes.join(', '), listed.join());
  return chosen.length > 0 ? chosen : ['auto'];
}

/** Each becomes a folder below certs.d, so it may not be a path. */
function readCertificateNames(variables: Variables): string[] {
  const listed = variables.list('CERTIFICATE_NAMES');
  const names = listed.length > 0 ? listed : variables.list('SHADOW_FQDN');
  for (const name of names.filter((each) => !isRegistryName(each))) {
    variables.problems.add('CERTIFICATE_NAMES', registryNames, name);
  }
  return names;
}

const registryNames = 'names like host, host:port, 10.0.0.1 or [fd00::1]';

/** True for the host, with or without a port, of an image reference. */
export function isRegistryName(name: string): boolean {
  if (isIP(name) !== 0) return true;
  const { host, port } = splitHostPort(name);
  if (port !== undefined && (port < 1 || port > 65_535)) return false;
  return hostName.test(host) || (host.startsWith('[') && host.endsWith(']') && isIP(host.slice(1, -1)) === 6);
}
