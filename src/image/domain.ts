/** The domain rule of image references, after the distribution project's `reference` grammar. Pure. */

const domain =
  '(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?(?:\\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*|\\[[a-fA-F0-9:]+\\])(?::[0-9]+)?';
const pathComponent = '[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*';
const reference = new RegExp(
  `^(?:${domain}/)?${pathComponent}(?:/${pathComponent})*(?::[A-Za-z0-9_][A-Za-z0-9._-]{0,127})?(?:@[a-z0-9]+(?:[.+_-][a-z0-9]+)*:[a-fA-F0-9]{32,})?$`,
);
const registryHost = new RegExp(`^${domain}$`);

/** Whether `value` is a registry host with an optional port. */
export function isRegistryHost(value: string): boolean {
  return registryHost.test(value);
}

/** Whether `value` is an image reference. */
export function isImageReference(value: string): boolean {
  return value.length <= 4096 && reference.test(value);
}

/** Takes an image reference and returns it with its domain replaced; Docker Hub's one-segment names get `library/`. */
export function withDomain(image: string, domainName: string): string {
  const [first = '', ...rest] = image.split('/');
  const named =
    rest.length > 0 && (/[.:]/.test(first) || first === 'localhost' || first !== first.toLowerCase());
  if (named)
    return `${domainName}/${isDockerHub(first) && rest.length === 1 ? 'library/' : ''}${rest.join('/')}`;
  return `${domainName}/${rest.length === 0 ? 'library/' : ''}${image}`;
}

function isDockerHub(name: string): boolean {
  return name === 'docker.io' || name === 'index.docker.io';
}
