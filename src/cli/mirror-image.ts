/** Image references as clients of a mirror write them. Pure. */
import type { Upstream } from '../api/upstream.ts';
import { ConfigError, cut } from '../config/problems.ts';
import { repositoryOf } from '../image/reference.ts';
import { parseDigest } from '../registry/digest.ts';
import { isRepository, isTag } from '../registry/repository.ts';

/** The names of one mirror, from its RegistryMirror or from the broker's configuration. */
export interface MirrorNames {
  readonly name: string;
  readonly masquerade: string;
  readonly upstream: Upstream;
}

export interface MirrorImage {
  /** As written. */
  readonly text: string;
  /** As clients ask the mirror for it. */
  readonly repository: string;
  readonly tag?: string;
  readonly digest?: string;
}

/**
 * Takes `[HOST/]REPOSITORY[:TAG][@DIGEST]`, HOST being the mirror's name or its upstream's. Throws `ConfigError` for
 * another registry's and for what is no reference.
 */
export function parseMirrorImage(text: string, mirror: MirrorNames): MirrorImage {
  const { host, rest } = splitHost(text);
  if (host !== undefined && !isNameOf(mirror, host)) {
    throw new ConfigError([
      `${cut(text)}: expected an image of ${hostsOf(mirror).join(' or ')} (mirror ${mirror.name}), got one of ${cut(host)}`,
    ]);
  }
  const [, path = '', tag, digest] = /^([^:@]*)(?::([^@]*))?(?:@(.*))?$/s.exec(rest) ?? [];
  const isReference =
    isRepository(path) &&
    (tag === undefined || isTag(tag)) &&
    (digest === undefined || parseDigest(digest) !== undefined);
  if (!isReference) {
    throw new ConfigError([`${cut(text)}: expected [HOST/]REPOSITORY[:TAG][@DIGEST] in lower case`]);
  }
  return {
    text,
    repository: askedRepository(path, host, mirror),
    ...(tag !== undefined && { tag }),
    ...(digest !== undefined && { digest }),
  };
}

/**
 * Every client makes `library/nginx` of `nginx` and `docker.io/nginx` before it asks, and leaves another host's names alone, that of an alias too:
 * the cache keeps manifests by what it was asked for.
 */
function askedRepository(path: string, host: string | undefined, mirror: MirrorNames): string {
  const { masquerade, upstream } = mirror;
  const isDockerIo = upstream.dockerHub && upstream.pathPrefix === '' && host !== masquerade;
  return repositoryOf({ registry: isDockerIo ? 'docker.io' : masquerade, path });
}

/** The rule of every client: what is before the first slash is a host when it could be no part of a repository. */
function splitHost(text: string): { host: string | undefined; rest: string } {
  const slash = text.indexOf('/');
  const first = text.slice(0, Math.max(0, slash));
  const isHost = slash > 0 && (/[.:]/.test(first) || first === 'localhost' || first !== first.toLowerCase());
  return isHost
    ? { host: first.toLowerCase(), rest: text.slice(slash + 1) }
    : { host: undefined, rest: text };
}

function isNameOf(mirror: MirrorNames, host: string): boolean {
  return hostsOf(mirror).includes(host.replace(/:443$/, '')) || hostsOf(mirror).includes(host);
}

function hostsOf({ masquerade, upstream }: MirrorNames): string[] {
  return [...new Set([upstream.names[0] ?? upstream.host, masquerade, ...upstream.names, upstream.host])];
}
