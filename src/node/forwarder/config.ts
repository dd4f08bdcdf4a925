/** nginx's configuration of the forwarder (docs: addressing contract, endpoint L), as text. Pure. */
import { createHash } from 'node:crypto';
import { isIP } from 'node:net';
import { renderTemplate } from '../../cache/render.ts';

/** A mirror that is offered on this node's loopback as plain HTTP and reached by verified TLS. */
export interface ForwardedMirror {
  /** metadata.name of the RegistryMirror. */
  readonly name: string;
  /** Loopback port. */
  readonly port: number;
  /** Where the mirror is: `192.0.2.1:443` or `[2001:db8::1]:443`. Never names: nginx would not start where one does not resolve. */
  readonly addresses: readonly string[];
  /** The DNS name its certificate must have. */
  readonly serverName: string;
  /** PEM authorities. */
  readonly caFile: string;
  /** Shown to the mirror. */
  readonly clientCertificate?: { readonly certFile: string; readonly keyFile: string };
}

/** What lies in the forwarder's own folder. */
export interface ForwarderPaths {
  readonly confFile: string;
  readonly pidFile: string;
  readonly connectionLog: string;
  readonly generationSocket: string;
  /** What the names of the sockets start with by which the agent asks mirrors. */
  readonly askingSockets: string;
}

/** What the text is made of beside the mirrors. */
export interface ForwarderSurroundings {
  readonly paths: ForwarderPaths;
  /** Path of nginx's stream module; null where it is built in. */
  readonly module: string | null;
  /** User of the worker, where nginx starts as root. */
  readonly user: string | null;
  /** True where the node has `::1`. */
  readonly ipv6: boolean;
}

export interface ForwarderConfig extends ForwarderSurroundings {
  readonly mirrors: readonly ForwardedMirror[];
  /** Names of those that may be offered now; the ports of the others are closed. */
  readonly listening: readonly string[];
  /** Fingerprint of what the named files hold, so that other content is another generation. */
  readonly filesHold: string;
}

/** Text of nginx's configuration, and the word it answers on its socket once that is in force. */
export interface ForwarderConf {
  readonly text: string;
  readonly generation: string;
}

/** The view of `templates/forwarder.conf.hbs`. */
export interface ForwarderView {
  readonly module: string | null;
  readonly user: string | null;
  readonly pidFile: string;
  readonly connectionLog: string;
  readonly generationSocket: string;
  readonly generation: string;
  readonly servers: readonly {
    readonly mirror: string;
    readonly upstream: string;
    readonly addresses: readonly { readonly address: string; readonly askingSocket: string }[];
    readonly listen: readonly string[];
    readonly serverName: string;
    readonly caFile: string;
    /** Null: none is shown. */
    readonly certFile: string | null;
    readonly keyFile: string | null;
  }[];
}

/** In the forwarder's folder. */
export const connectionLogName = 'connections.log';

/** Returns the paths below `folder`, which must be short: that of a unix socket has at most 107 bytes. */
export function forwarderPaths(folder: string): ForwarderPaths {
  return {
    confFile: `${folder}/forwarder.conf`,
    pidFile: `${folder}/nginx.pid`,
    connectionLog: `${folder}/${connectionLogName}`,
    generationSocket: `${folder}/generation.sock`,
    askingSockets: `${folder}/ask-`,
  };
}

/** The socket by which the agent asks one address of a mirror on the way that connections take. */
export function askingSocket({ askingSockets }: ForwarderPaths, mirror: string, address: string): string {
  const id = createHash('sha256').update(`${mirror} ${address}`).digest('hex').slice(0, 12);
  return `${askingSockets}${id}.sock`;
}

/** Throws a `TypeError` on a value that is not what its field says, or that nginx's syntax cannot hold. */
export function forwarderConf(config: ForwarderConfig): ForwarderConf {
  const view = forwarderView(config);
  return { text: renderTemplate('forwarder.conf', view), generation: view.generation };
}

export function forwarderView(config: ForwarderConfig): ForwarderView {
  const { paths, module, user, ipv6, mirrors, listening } = config;
  const offered = mirrors.filter(({ name }) => listening.includes(name));
  return {
    module,
    user,
    pidFile: paths.pidFile,
    connectionLog: paths.connectionLog,
    generationSocket: `unix:${paths.generationSocket}`,
    generation: createHash('sha256').update(JSON.stringify(config)).digest('hex').slice(0, 16),
    servers: offered.map((mirror) => serverView(mirror, paths, ipv6)),
  };
}

/** Returns host (without brackets) and port of `192.0.2.1:443` or `[2001:db8::1]:443`; throws a `TypeError` on anything else. */
export function parseAddress(text: string): { host: string; port: number } {
  const [, six, four, digits] = /^(?:\[([0-9a-f:.]+)\]|([0-9.]+)):([1-9][0-9]{0,4})$/i.exec(text) ?? [];
  const [host, port] = [six ?? four ?? '', Number(digits)];
  if (isIP(host) !== (six === undefined ? 4 : 6) || !isPort(port))
    throw new TypeError(`expected an IP address and a port, got ${JSON.stringify(text)}`);
  return { host, port };
}

function serverView(
  mirror: ForwardedMirror,
  paths: ForwarderPaths,
  ipv6: boolean,
): ForwarderView['servers'][number] {
  const { name, port, addresses, serverName, caFile, clientCertificate } = mirror;
  if (!isName(name)) throw new TypeError(`expected a mirror's name, got ${JSON.stringify(name)}`);
  if (!isPort(port)) throw new TypeError(`expected a port, got ${JSON.stringify(port)}`);
  // nginx compares names alone: an address in the certificate would never match.
  if (!isName(serverName) || isIP(serverName) !== 0)
    throw new TypeError(`expected a DNS name, got ${JSON.stringify(serverName)}`);
  if (addresses.length === 0) throw new TypeError(`expected an address of ${name}`);
  for (const address of addresses) parseAddress(address);
  return {
    mirror: name,
    upstream: `mirror-${name}`,
    addresses: addresses.map((address) => ({
      address,
      askingSocket: `unix:${askingSocket(paths, name, address)}`,
    })),
    listen: [`127.0.0.1:${port}`, ...(ipv6 ? [`[::1]:${port}`] : [])],
    serverName,
    caFile,
    certFile: clientCertificate?.certFile ?? null,
    keyFile: clientCertificate?.keyFile ?? null,
  };
}

function isName(text: string): boolean {
  return text.length <= 253 && /^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/i.test(text);
}

function isPort(port: number): boolean {
  return Number.isInteger(port) && port > 0 && port < 65536;
}
