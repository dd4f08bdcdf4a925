/**
 * The text of a `hosts.toml`, and what somebody else's says. Pure.
 *
 * Always a `[host]` table (older releases fail on a file without one), never the capability `referrers` (older releases ignore the whole file).
 */
import { isIP } from 'node:net';
import { parse } from 'smol-toml';
import type { NodeName } from '../../api/node-mirror.ts';

export interface HostsToml {
  /** The mirror: `http://127.0.0.1:PORT` or `https://S`. Tried first. */
  readonly endpoint: string;
  /** The CA file of `endpoint`, relative to the folder. */
  readonly ca?: string;
  /** Tried last; without one it is the host that the folder is named after, which containerd dials in its own way. */
  readonly server?: string;
  /** Nothing but the mirror is asked, for a name that nobody else may answer for: that of an alias may be somebody's in public DNS. */
  readonly only?: boolean;
  /** The CA file of the server, relative to the folder; without one the system's. */
  readonly serverCa?: string;
}

/** Seconds that containerd (from 2.1) waits for a connection to the mirror; without it 30 a request. */
const dialTimeout = 2;

/** Returns the file's text. Any text of the user's is quoted. */
export function formatHostsToml({ endpoint, ca, server, serverCa, only = false }: HostsToml): string {
  const mirror = [
    'capabilities = ["pull", "resolve"]',
    ...(ca === undefined ? [] : [`ca = ${quote(ca)}`]),
    `dial_timeout = "${dialTimeout}s"`,
  ];
  const last = [
    ...(server === undefined ? [] : [`server = ${quote(server)}`]),
    ...(serverCa === undefined ? [] : [`ca = ${quote(serverCa)}`]),
  ];
  return [
    ...(only ? [`server = ${quote(endpoint)}`, ...mirror] : last),
    `[host.${quote(endpoint)}]`,
    ...mirror.map((line) => `  ${line}`),
    '',
  ].join('\n');
}

/**
 * The URL that containerd dials for an upstream's name. Undefined for this machine's own names, unless they are known to speak plain HTTP:
 * containerd decides itself between http and https there, which a URL would take away.
 */
export function serverOf(name: string, scheme: NodeName['scheme'] = 'https'): string | undefined {
  if (name === 'docker.io') return 'https://registry-1.docker.io';
  if (scheme === 'http') return `http://${name}`;
  const host = name.replace(/:\d+$/, '');
  const local = host === 'localhost' || host === '[::1]' || (isIP(host) === 4 && host.startsWith('127.'));
  return local ? undefined : `https://${name}`;
}

/** The hosts that a file sends pulls to, in order, the server last; undefined for a file that containerd ignores: empty, or not understood. */
export function hostsIn(content: Buffer): string[] | undefined {
  const file = content.length === 0 ? undefined : parseHosts(content);
  if (file === undefined) return undefined;
  return [...file.hosts.map(({ url }) => url), ...(file.server === undefined ? [] : [file.server])];
}

/** True for a file that sends every pull to `endpoint` first and trusts it. */
export function servesMirror(content: Buffer, endpoint: string): boolean {
  const [first] = parseHosts(content)?.hosts ?? [];
  if (first?.url !== endpoint) return false;
  const { capabilities, ca, skip_verify: skipVerify } = first.table;
  const allowed =
    !Array.isArray(capabilities) || ['pull', 'resolve'].every((each) => capabilities.includes(each));
  return allowed && (endpoint.startsWith('http:') || ca !== undefined || skipVerify === true);
}

interface HostTable {
  readonly url: string;
  readonly table: Readonly<Record<string, unknown>>;
}

const capabilities = ['pull', 'resolve', 'push'];

function parseHosts(content: Buffer): { server?: string; hosts: HostTable[] } | undefined {
  try {
    const { server, host = {}, ...root } = parse(content.toString()) as Record<string, unknown>;
    const hosts = Object.entries(host as object).map(([url, table]) => ({ url, table }));
    if (![host, ...hosts.map(({ table }) => table)].every((each) => typeof each === 'object'))
      return undefined;
    if (![root, ...hosts.map(({ table }) => table)].every(hasKnownCapabilities)) return undefined;
    return { ...(typeof server === 'string' && { server }), hosts };
  } catch {
    return undefined;
  }
}

function hasKnownCapabilities(table: Readonly<Record<string, unknown>>): boolean {
  const stated = table['capabilities'] ?? [];
  return Array.isArray(stated) && stated.every((each) => capabilities.includes(String(each).toLowerCase()));
}

/** A TOML basic string: JSON's, but for DEL, which must be escaped, and halves of surrogate pairs, which have no escape. */
function quote(text: string): string {
  return JSON.stringify(text.toWellFormed()).replaceAll('\x7f', '\\u007f');
}
