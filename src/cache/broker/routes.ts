/** Which object a request of nginx names. Pure. */
import { type Digest, parseDigest } from '../../registry/digest.ts';
import { isRepository, isTag } from '../../registry/repository.ts';

/** `repository` is as the client wrote it; what the upstream calls it is the mirror's affair. */
export type ObjectRoute =
  | { readonly kind: 'blob'; readonly mirror: string; readonly repository: string; readonly digest: Digest }
  | {
      readonly kind: 'manifest';
      readonly mirror: string;
      readonly repository: string;
      readonly reference: string;
    }
  | {
      readonly kind: 'list';
      readonly mirror: string;
      readonly repository: string;
      /** Below the repository: `tags/list`, `referrers/sha256:...`. */
      readonly path: string;
      readonly query: URLSearchParams;
    };

/** Asked by nginx before it serves: may this client read the object, or use the registry at all? */
export type AccessRoute =
  | { readonly kind: 'authorize'; readonly mirror: string; readonly object: ObjectRoute }
  | { readonly kind: 'ping'; readonly mirror: string };

export type Route = { readonly kind: 'health' } | { readonly kind: 'status' } | ObjectRoute | AccessRoute;

const shape = /^\/([a-z0-9-]{1,63})\/v2\/(.+)\/(blobs|manifests|tags|referrers)\/([^/]+)$/;

/**
 * Takes a request target: `/mirror/v2/repository/blobs/sha256:...?query`, the same with `/-/authorize` after the mirror, `/mirror/-/ping`.
 * Undefined for everything we do not serve.
 */
export function parseRoute(target: string): Route | undefined {
  const [path = '', query = ''] = splitOnce(target, '?');
  if (path === '/-/health') return { kind: 'health' };
  if (path === '/-/status') return { kind: 'status' };
  const [, mirror = '', rest] = /^\/([a-z0-9-]{1,63})\/-\/(?:ping|authorize(\/v2\/.*))$/.exec(path) ?? [];
  if (mirror === '') return parseObject(path, query);
  if (rest === undefined) return { kind: 'ping', mirror };
  const object = parseObject(`/${mirror}${rest}`, query);
  return object && { kind: 'authorize', mirror, object };
}

function parseObject(path: string, query: string): ObjectRoute | undefined {
  const [, mirror = '', repository = '', kind, last = ''] = shape.exec(path) ?? [];
  if (!isRepository(repository)) return undefined;
  const digest = parseDigest(last);
  if (kind === 'blobs') return digest && { kind: 'blob', mirror, repository, digest };
  if (kind === 'manifests') {
    return digest || isTag(last) ? { kind: 'manifest', mirror, repository, reference: last } : undefined;
  }
  const isList = kind === 'tags' ? last === 'list' : digest !== undefined;
  if (!isList) return undefined;
  return { kind: 'list', mirror, repository, path: `${kind}/${last}`, query: new URLSearchParams(query) };
}

function splitOnce(text: string, separator: string): [string, string] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)];
}
