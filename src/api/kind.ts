/** What the API server calls our kind. Apart from the schema, so that small commands need not load it. */

export const group = 'k8s.osp.tech';
export const version = 'v1';
export const apiVersion = `${group}/${version}`;
export const kind = 'RegistryMirror';

/** The longest `metadata.name` whose derived names are valid Services and pod labels. */
export const maxNameLength = 36;
