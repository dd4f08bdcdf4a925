/**
 * Image references after the distribution project's `reference` grammar, with its domain rule. The only place that takes one apart.
 * `src/image` is pure and imports nothing of ours.
 */

/** An image reference as it was written; `formatReference` gives back the same text. */
export interface ImageReference {
  /** `host[:port]` as written, IPv6 in brackets; undefined where none is, which means Docker Hub. */
  readonly registry: string | undefined;
  /** Without the registry, as written: `nginx`, `library/nginx`. */
  readonly path: string;
  readonly tag: string | undefined;
  /** `algorithm:hex`. */
  readonly digest: string | undefined;
}

const hostLabel = '[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?';
const registryForm = new RegExp(`^(?:${hostLabel}(?:\\.${hostLabel})*|\\[[a-fA-F0-9:]+\\])(?::[0-9]+)?$`);
const segment = '[a-z0-9]+(?:(?:\\.|__?|-+)[a-z0-9]+)*';
const pathForm = new RegExp(`^${segment}(?:/${segment})*$`);
const segmentForm = new RegExp(`^${segment}$`);
const tagForm = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/;
/** The grammar would take any algorithm; the distribution project's parser, and so every runtime, takes these. */
const digestForm = /^(?:sha256:[a-f0-9]{64}|sha384:[a-f0-9]{96}|sha512:[a-f0-9]{128})$/;
/** Read as an image's id by every runtime. */
const imageId = /^[a-f0-9]{64}$/;

/** The distribution project's limit for registry and path together. */
const maxNameLength = 255;
/** No name, tag and digest together are longer. */
export const maxReferenceLength = 1024;

/** Takes any text; returns its parts, or undefined where it is no image reference. */
export function parseReference(text: string): ImageReference | undefined {
  if (text.length > maxReferenceLength || imageId.test(text)) return undefined;
  const at = text.indexOf('@');
  const digest = at < 0 ? undefined : text.slice(at + 1);
  const named = at < 0 ? text : text.slice(0, at);
  const colon = named.indexOf(':', named.lastIndexOf('/') + 1);
  const tag = colon < 0 ? undefined : named.slice(colon + 1);
  const name = colon < 0 ? named : named.slice(0, colon);
  const slash = name.indexOf('/');
  const registry = slash > 0 && isRegistry(name.slice(0, slash)) ? name.slice(0, slash) : undefined;
  const reference = { registry, path: registry === undefined ? name : name.slice(slash + 1), tag, digest };
  return isSound(reference) ? reference : undefined;
}

/**
 * The domain rule: the first of several segments is a registry if it has a dot, a colon or an upper-case letter, or is `localhost`. It need be no host
 * by the grammar: `my_host.io` is a segment like others there, and what runtimes dial.
 */
function isRegistry(firstSegment: string): boolean {
  return /[.:A-Z]/.test(firstSegment) || firstSegment === 'localhost';
}

function isSound(reference: ImageReference): boolean {
  const { registry, path, tag, digest } = reference;
  return (
    pathForm.test(path) &&
    (registry === undefined || registryForm.test(registry) || segmentForm.test(registry)) &&
    (tag === undefined || tagForm.test(tag)) &&
    (digest === undefined || digestForm.test(digest)) &&
    wholeName(reference).length <= maxNameLength
  );
}

/** Returns the reference as text. */
export function formatReference({ registry, path, tag, digest }: ImageReference): string {
  return `${registry === undefined ? '' : `${registry}/`}${path}${suffixOf({ tag, digest })}`;
}

/** What follows the name: `:tag`, `@digest`, both or nothing. */
export function suffixOf({ tag, digest }: Pick<ImageReference, 'tag' | 'digest'>): string {
  return `${tag === undefined ? '' : `:${tag}`}${digest === undefined ? '' : `@${digest}`}`;
}

const dockerHub = 'docker.io';
/** What stands for Docker Hub, beside nothing. */
export const dockerHubNames = [dockerHub, 'index.docker.io', 'registry-1.docker.io'] as const;
const dockerHubs: ReadonlySet<string | undefined> = new Set([undefined, ...dockerHubNames]);

/** The registry that is meant: `docker.io` for each of Docker Hub's names and for none, else as written. */
export function registryOf({ registry }: Pick<ImageReference, 'registry'>): string {
  return registry === undefined || dockerHubs.has(registry) ? dockerHub : registry;
}

/** The path that is asked of the registry: Docker Hub's one-segment names have `library/` in front. */
export function repositoryOf({ registry, path }: Pick<ImageReference, 'registry' | 'path'>): string {
  return dockerHubs.has(registry) && !path.includes('/') ? `library/${path}` : path;
}

/** Registry and path as runtimes understand them: two references with one whole name are in the same repository. */
export function wholeName(reference: Pick<ImageReference, 'registry' | 'path'>): string {
  return `${registryOf(reference)}/${repositoryOf(reference)}`;
}

/** Takes `host[:port]` (IPv6 in brackets); the port is undefined where none is given. */
export function splitPort(registry: string): { readonly host: string; readonly port: string | undefined } {
  const colon = registry.lastIndexOf(':');
  if (colon < 0 || registry.endsWith(']')) return { host: registry, port: undefined };
  return { host: registry.slice(0, colon), port: registry.slice(colon + 1) };
}

/** Whether `value` is a registry: a host with an optional port. */
export function isRegistryHost(value: string): boolean {
  return value.length <= maxNameLength && registryForm.test(value);
}

/** Whether `value` is an image reference. */
export function isImageReference(value: string): boolean {
  return parseReference(value) !== undefined;
}

/** Whether images can be put below `value`: `host[:port][/path]`, or the first segments of a Docker Hub name. */
export function isReferencePrefix(value: string): boolean {
  return isImageReference(`${value}/x`);
}
