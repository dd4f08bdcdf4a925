/** Names inside a registry, by the grammar of the OCI distribution specification. Pure. */

const component = '[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*';
const grammar = new RegExp(`^${component}(?:/${component})*$`);
const tag = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/;

/** True for a repository name of at most 255 characters. */
export function isRepository(text: string): boolean {
  return text.length <= 255 && grammar.test(text);
}

export function isTag(text: string): boolean {
  return tag.test(text);
}
