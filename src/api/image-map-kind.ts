/** What the API server calls ImageMap, the kind of kubernetes-image-mapper. Apart from the schema, so that small commands need not load it. */

export const imageMapKind = {
  group: 'mapper.imagerelocation.pivotal.io',
  version: 'v1alpha1',
  plural: 'imagemaps',
  kind: 'ImageMap',
  namespaced: true,
} as const;

export const imageMapApiVersion = `${imageMapKind.group}/${imageMapKind.version}` as const;

/** kubernetes-image-mapper's, on every map it has seen. We set none: without its controller a map, and its namespace, would stay for ever. */
export const imageMapFinalizer = 'mapper.imagerelocation.pivotal.io';
