/** Which hosts are asked directly although there is a proxy: `NO_PROXY` as Go's and curl's clients read it. Pure. */
import { BlockList, isIP } from 'node:net';

/** A host as a URL has it: no brackets, no dot at its end, lower case; with the port it is dialled on. */
interface Target {
  readonly host: string;
  readonly port: string;
}

type Exemption = (target: Target) => boolean;

/**
 * Takes the entries and returns whether a URL is exempt from the proxy. `example.com`: this name and all below it;
 * `.example.com` or `*.example.com`: only what is below; an address or a CIDR: where the URL names an address; each of
 * the first three with `:port` for this port alone; `*`: everything. Names are not resolved. What is none of these exempts nothing.
 */
export function proxyExemption(entries: readonly string[]): (url: URL) => boolean {
  const exemptions = entries.map((entry) => exemption(entry.trim().toLowerCase()));
  return (url) => {
    const target = targetOf(url);
    return exemptions.some((exempts) => exempts(target));
  };
}

function exemption(entry: string): Exemption {
  if (entry === '*') return () => true;
  const range = parseRange(entry);
  if (range !== undefined) return ({ host }) => isIP(host) !== 0 && range.check(host, family(host));
  const { host, port } = splitPort(entry);
  const isPort = (target: Target) => port === undefined || port === target.port;
  if (isIP(host) !== 0) {
    const list = new BlockList();
    list.addAddress(host, family(host));
    return (target) =>
      isPort(target) && isIP(target.host) !== 0 && list.check(target.host, family(target.host));
  }
  const name = host.replace(/^\*(?=\.)/, '').replace(/\.$/, '');
  if (!/^\.?[^.*]/.test(name)) return () => false;
  const isName = name.startsWith('.')
    ? (other: string) => other.endsWith(name)
    : (other: string) => other === name || other.endsWith(`.${name}`);
  return (target) => isPort(target) && isName(target.host);
}

function targetOf(url: URL): Target {
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1').replace(/\.$/, '');
  return { host, port: url.port || (url.protocol === 'http:' ? '80' : '443') };
}

function parseRange(entry: string): BlockList | undefined {
  const [network = '', bits = '', ...rest] = entry.split('/');
  const size = isIP(network) === 4 ? 32 : 128;
  if (isIP(network) === 0 || !/^\d{1,3}$/.test(bits) || Number(bits) > size || rest.length > 0)
    return undefined;
  const list = new BlockList();
  list.addSubnet(network, Number(bits), family(network));
  return list;
}

/** `[::1]:443`, `::1`, `host:443`, `host`. */
function splitPort(entry: string): { host: string; port?: string } {
  const [, bracketed, bracketedPort] = /^\[([^\]]*)\](?::(\d+))?$/.exec(entry) ?? [];
  if (bracketed !== undefined) return { host: bracketed, ...(bracketedPort && { port: bracketedPort }) };
  const [, host, port] = /^([^:]*):(\d+)$/.exec(entry) ?? [];
  return host === undefined || port === undefined ? { host: entry } : { host, port };
}

function family(address: string): 'ipv4' | 'ipv6' {
  return isIP(address) === 4 ? 'ipv4' : 'ipv6';
}
