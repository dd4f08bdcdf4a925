/** What `spec.upstreamUrl` means: which host is dialled, under which names images refer to it. Pure. */

/** An upstream registry, parsed from `spec.upstreamUrl`. */
export interface Upstream {
  readonly scheme: 'https' | 'http';
  /** The dialled `host[:port]`: `registry-1.docker.io` for every spelling of Docker Hub. IPv6 in brackets. */
  readonly host: string;
  /** Put in front of every repository asked of the upstream: `` or `dockerhub-proxy` or `a/b`, without outer slashes. */
  readonly pathPrefix: string;
  /** True for Docker Hub: one-segment repositories get `library/`. */
  readonly dockerHub: boolean;
  /** The names under which references and runtimes know it, reference name first; without the scheme's own port, and with it where it is given. */
  readonly names: readonly string[];
}

/** Every spelling of Docker Hub that users have written into `upstreamUrl`. */
const dockerHubHosts = new Set([
  'docker.io',
  'index.docker.io',
  'registry-1.docker.io',
  'hub.docker.io',
  'hub.docker.com',
  'registry.hub.docker.com',
]);

const label = '[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?';
const port = ':[1-9][0-9]{0,4}';
const ipv6 = '\\[[0-9a-f:.]{2,45}\\]';

const dnsName = `${label}(\\.${label})*`;
/** Docker's own configuration spells Docker Hub `https://index.docker.io/v1/`: that is the API's version, no repository. */
export const hubVersionPattern = `^(https?://)?(${[...dockerHubHosts].join('|').replaceAll('.', '[.]')})(:443)?/v[12]/?$`;
/** One or more path segments as the distribution specification allows them in a repository. */
const segment = '[a-z0-9]+((\\.|_|__|-+)[a-z0-9]+)*';
/** `[https://|http://]host[:port][/path]`, lower case, IPv6 in brackets; the CRD's pattern. */
export const upstreamUrlPattern = `^(https?://)?(${dnsName}|${ipv6})(${port})?(/${segment})*/?$`;
/** `name[:port]`; the CRD's pattern. */
export const masqueradeUrlPattern = `^${dnsName}(${port})?$`;

/** `http[s]://host[:port]`: a proxy without user name; that would be a secret in plain sight. */
export const proxyUrlPattern = `^https?://(${dnsName}|${ipv6})(${port})?/?$`;
/** `host`, or `*.domain` for everything below a domain. */
export const redirectHostPattern = `^([*][.])?${dnsName}$`;
/** `host` of a token server. */
export const tokenHostPattern = `^${dnsName}$`;
/** The beginning of a repository by whole segments (`team-a`, `library/nginx`), or nothing. */
export const repositoryPrefixPattern = `^(${segment}(/${segment})*)?$`;

/** Takes a value that matches `upstreamUrlPattern` and returns its parts; throws `TypeError` on any other. */
export function parseUpstream(upstreamUrl: string): Upstream {
  if (!new RegExp(upstreamUrlPattern).test(upstreamUrl)) {
    throw new TypeError('upstreamUrl: expected [https://|http://]host[:port][/path]');
  }
  const scheme = upstreamUrl.startsWith('http://') ? 'http' : 'https';
  const [host = '', ...path] = upstreamUrl.replace(/^https?:\/\//, '').split('/');
  const dockerHub = dockerHubHosts.has(host.replace(/:443$/, ''));
  const isHubVersion = new RegExp(hubVersionPattern).test(upstreamUrl);
  return {
    scheme,
    host: dockerHub ? 'registry-1.docker.io' : host,
    pathPrefix: isHubVersion ? '' : path.filter((part) => part !== '').join('/'),
    dockerHub,
    names: dockerHub
      ? ['docker.io', 'registry-1.docker.io', 'index.docker.io']
      : [...new Set([withoutOwnPort(host, scheme), host])],
  };
}

function withoutOwnPort(host: string, scheme: Upstream['scheme']): string {
  return host.replace(scheme === 'https' ? /:443$/ : /:80$/, '');
}

/** The masquerade name when none is given: `mirror-` and the upstream's host. */
export function defaultMasquerade(upstreamUrl: string): string {
  return `mirror-${upstreamUrl.replace(/^https?:\/\//, '').replace(/\/.*$/, '')}`;
}

/** Splits `host[:port]` (IPv6 in brackets) into its parts; the port is undefined where none is given. */
export function splitHostPort(value: string): { host: string; port?: number } {
  const match = /^(\[[^\]]*\]|[^:]*)(?::(\d+))?$/.exec(value);
  const host = match?.[1] ?? value;
  return match?.[2] === undefined ? { host } : { host, port: Number(match[2]) };
}

/** What of a RegistryMirror names it. */
interface NamedMirror {
  readonly spec: { readonly upstreamUrl: string; readonly masqueradeUrl?: string | undefined };
}

/** `spec.masqueradeUrl`, or its default. */
export function masqueradeOf({ spec }: NamedMirror): string {
  return spec.masqueradeUrl ?? defaultMasquerade(spec.upstreamUrl);
}

/** True where the masquerade is a name of the upstream itself, with its scheme's own port or without; behind a path there is no name that runtimes know. */
export function masqueradesAsUpstream(mirror: NamedMirror): boolean {
  const { names, scheme, pathPrefix } = parseUpstream(mirror.spec.upstreamUrl);
  return pathPrefix === '' && names.includes(withoutOwnPort(masqueradeOf(mirror), scheme));
}

/** The same of Docker Hub. dockerd dials it by the system's authorities alone: a line of a hosts file for one of its names breaks pulls. */
export function masqueradesAsDockerHub(mirror: NamedMirror): boolean {
  return parseUpstream(mirror.spec.upstreamUrl).dockerHub && masqueradesAsUpstream(mirror);
}
