/** What nginx's cache keys mean; the other side of `proxy_cache_key` in templates/partials/locations.hbs. Pure. */
import { createHash } from 'node:crypto';
import { type Digest, parseDigest } from '../../../registry/digest.ts';
import { isRepository, isTag } from '../../../registry/repository.ts';

/** `repository` is as the client wrote it. */
export type CacheKey =
  | {
      readonly kind: 'blob';
      readonly mirror: string;
      readonly digest: Digest;
      /** `bytes=0-8388607`: the slice. */
      readonly range: string;
      /** Set where an answer holds for one repository alone: of a failure. */
      readonly repository?: string;
    }
  | {
      readonly kind: 'manifest';
      readonly mirror: string;
      readonly repository: string;
      readonly digest: Digest;
    }
  | { readonly kind: 'tag'; readonly mirror: string; readonly repository: string; readonly tag: string }
  | {
      readonly kind: 'list';
      readonly mirror: string;
      readonly repository: string;
      /** `tags/list`, `referrers/sha256:...` */
      readonly path: string;
    }
  | {
      readonly kind: 'failed';
      readonly mirror: string;
      readonly repository: string;
      /** `manifests/1.0`, `tags/list`. */
      readonly object: string;
    };

/**
 * Takes the text of a key; undefined for what is none of ours. What follows the fields we know is passed over. Where the
 * kind of address comes before the mirror, it cannot be taken for one: no such key would be whole.
 */
export function parseCacheKey(text: string): CacheKey | undefined {
  const fields = text.split('|');
  return keyOf(fields) ?? keyOf(fields.slice(1));
}

function keyOf([mirror = '', kind = '', ...fields]: readonly string[]): CacheKey | undefined {
  if (mirror === '') return undefined;
  if (kind === 'blob') return blobKey(mirror, fields);
  if (kind === 'manifest') return manifestKey(mirror, fields);
  if (kind === 'tag') return tagKey(mirror, fields);
  if (kind === 'list') return listKey(mirror, fields);
  return kind === 'failed' ? failedKey(mirror, fields) : undefined;
}

function blobKey(mirror: string, fields: readonly string[]): CacheKey | undefined {
  const [first = '', second = '', third = ''] = fields;
  const shared = parseDigest(first);
  if (shared !== undefined) return { kind: 'blob', mirror, digest: shared, range: second };
  const digest = parseDigest(second);
  if (digest === undefined || !isRepository(first)) return undefined;
  return { kind: 'blob', mirror, repository: first, digest, range: third };
}

function manifestKey(mirror: string, [repository = '', text = '']: readonly string[]): CacheKey | undefined {
  const digest = parseDigest(text);
  if (digest === undefined || !isRepository(repository)) return undefined;
  return { kind: 'manifest', mirror, repository, digest };
}

function tagKey(mirror: string, fields: readonly string[]): CacheKey | undefined {
  const [_upstream, repository = '', tag = ''] = fields;
  return isRepository(repository) && isTag(tag) ? { kind: 'tag', mirror, repository, tag } : undefined;
}

function listKey(mirror: string, fields: readonly string[]): CacheKey | undefined {
  const [_upstream, _prefix, repository = '', path = ''] = fields;
  return isRepository(repository) ? { kind: 'list', mirror, repository, path } : undefined;
}

function failedKey(mirror: string, fields: readonly string[]): CacheKey | undefined {
  const [_upstream, _prefix, repository = '', object = ''] = fields;
  return isRepository(repository) ? { kind: 'failed', mirror, repository, object } : undefined;
}

/** The key of the slice that begins at byte `start`. */
export function sliceKey(mirror: string, digest: string, start: number, sliceBytes: number): string {
  return `${mirror}|blob|${digest}|bytes=${start}-${start + sliceBytes - 1}`;
}

/** Where below a cache folder nginx keeps a key (`levels=1:2`). */
export function fileOfKey(key: string): string {
  const name = createHash('md5').update(key).digest('hex');
  return `${name.slice(-1)}/${name.slice(-3, -1)}/${name}`;
}
