/** The images of the pods we make, from the environment. */
import type { OperatorSettings } from '../api/settings.ts';
import { withDomain } from '../image/domain.ts';
import { isImageReference, isReferencePrefix, isRegistryHost, parseReference } from '../image/reference.ts';
import { type Environment, text } from './environment.ts';
import type { Problems } from './problems.ts';

/** Used outside a cluster where nothing names our image; in one, our own pod does. */
export const fallbackImage = 'registry-mirror-operator:0.1.0';

export interface ImageOptions {
  readonly inCluster: boolean;
  /** The image that our own pod runs from, where no variable names one: it is where nodes can pull it. */
  readonly ownImage?: string;
}

/** Reads the images of all pods we make, `DOCKER_REGISTRY` applied to those that are not there yet. */
export function readImages(
  env: Environment,
  options: ImageOptions,
  problems: Problems,
  notices: string[],
): OperatorSettings['images'] {
  const registry = readRegistry(env, 'DOCKER_REGISTRY', problems);
  const hostessRegistry = readRegistry(env, 'HOSTESS_DOCKER_REGISTRY', problems);
  if (text(env, 'HOSTESS_DOCKER_REGISTRY'))
    notices.push('HOSTESS_DOCKER_REGISTRY is deprecated, use DOCKER_REGISTRY');
  const inRegistry = (image: string, name = registry) =>
    name === undefined || image === options.ownImage || image.startsWith(`${name}/`)
      ? image
      : withDomain(image, name);
  const named = readImage(env, 'OPERATOR_IMAGE', problems) ?? options.ownImage ?? readBuiltAs(env);
  const operator = named ?? fallbackImage;
  if (!options.inCluster && named === undefined)
    notices.push(`OPERATOR_IMAGE is not set, pods will run from ${fallbackImage}`);
  const nginx = readImage(env, 'NGINX_IMAGE', problems) ?? operator;
  const hostess = readHostessImage(env, problems, notices);
  const own = hostess === undefined || hostess === operator;
  return {
    operator: inRegistry(operator),
    nginx: inRegistry(nginx),
    ...(own ? {} : { hostess: inRegistry(hostess, registry ?? hostessRegistry) }),
  };
}

/** As what our image was built, by a variable of its own; undefined where nobody has given it a name. */
export function readBuiltAs(env: Environment): string | undefined {
  const image = text(env, 'OPERATOR_IMAGE_DEFAULT');
  return image === fallbackImage || image === undefined || !isImageReference(image) ? undefined : image;
}

/** A registry that replaces images' domains; undefined for the default `docker.io`, which replaces nothing. */
function readRegistry(env: Environment, name: string, problems: Problems): string | undefined {
  const value = text(env, name);
  if (value === undefined || value === 'docker.io') return undefined;
  if (!isRegistryHost(value.split('/')[0] ?? '') || !isReferencePrefix(value)) {
    problems.add(name, 'a registry as host[:port], optionally with a path', value);
  }
  return value;
}

function readHostessImage(env: Environment, problems: Problems, notices: string[]): string | undefined {
  const image = text(env, 'HOSTESS_DOCKER_IMAGE');
  const tag = text(env, 'HOSTESS_DOCKER_TAG');
  if (image === undefined) {
    if (tag !== undefined) notices.push('HOSTESS_DOCKER_TAG is ignored without HOSTESS_DOCKER_IMAGE');
    return undefined;
  }
  const whole = tag === undefined ? withDefaultTag(image) : `${image}:${tag}`;
  if (!isImageReference(whole))
    problems.add('HOSTESS_DOCKER_IMAGE, HOSTESS_DOCKER_TAG', 'an image name and a tag', whole);
  return whole;
}

/** The original's documentation names the tag that is meant where only an image is given. */
function withDefaultTag(image: string): string {
  const { tag, digest } = parseReference(image) ?? {};
  return tag === undefined && digest === undefined ? `${image}:1.1.0` : image;
}

function readImage(env: Environment, name: string, problems: Problems): string | undefined {
  const value = text(env, name);
  if (value !== undefined && !isImageReference(value)) problems.add(name, 'an image reference', value);
  return value;
}
